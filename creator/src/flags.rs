//! What each phase is told, from what the creator was told.

use platform::inputs::{analyzer, builder, creator, detector, exporter};

pub(crate) fn of_analyzer(flags: &creator::Inputs) -> analyzer::Inputs {
    analyzer::Inputs {
        common: flags.common.clone(),
        user: flags.user,
        images: flags.images.clone(),
        layers_dir: flags.layers_dir.clone(),
        analyzed_path: flags.analyzed_path.clone(),
        cache_dir: flags.cache_dir.clone(),
        launch_cache_dir: flags.launch_cache_dir.clone(),
        cache_image: flags.cache_image.clone(),
        output_image: flags.output_image.clone(),
        previous_image: flags.previous_image.clone(),
        run_image: flags.run_image.clone(),
        tags: flags.tags.clone(),
        // COM-019: one switch.
        skip_layers: flags.skip_restore,
    }
}

pub(crate) fn of_detector(flags: &creator::Inputs) -> detector::Inputs {
    detector::Inputs {
        common: flags.common.clone(),
        app_dir: flags.app_dir.clone(),
        layers_dir: flags.layers_dir.clone(),
        platform_dir: flags.platform_dir.clone(),
        buildpacks_dir: flags.buildpacks_dir.clone(),
        extensions_dir: flags.extensions_dir.clone(),
        build_config_dir: flags.build_config_dir.clone(),
        generated_dir: flags.generated_dir.clone(),
        order_path: flags.order_path.clone(),
        system_path: flags.system_path.clone(),
        run_path: flags.run_path.clone(),
        analyzed_path: flags.analyzed_path.clone(),
        group_path: flags.group_path.clone(),
        plan_path: flags.plan_path.clone(),
        exec_env: flags.exec_env.clone(),
    }
}

pub(crate) fn of_builder(flags: &creator::Inputs) -> builder::Inputs {
    builder::Inputs {
        common: flags.common.clone(),
        app_dir: flags.app_dir.clone(),
        layers_dir: flags.layers_dir.clone(),
        platform_dir: flags.platform_dir.clone(),
        buildpacks_dir: flags.buildpacks_dir.clone(),
        build_config_dir: flags.build_config_dir.clone(),
        analyzed_path: flags.analyzed_path.clone(),
        group_path: flags.group_path.clone(),
        plan_path: flags.plan_path.clone(),
        exec_env: flags.exec_env.clone(),
    }
}

pub(crate) fn of_exporter(flags: &creator::Inputs) -> exporter::Inputs {
    exporter::Inputs {
        common: flags.common.clone(),
        user: flags.user,
        images: flags.images.clone(),
        app_dir: flags.app_dir.clone(),
        layers_dir: flags.layers_dir.clone(),
        analyzed_path: flags.analyzed_path.clone(),
        group_path: flags.group_path.clone(),
        extended_dir: flags.extended_dir.clone(),
        run_path: flags.run_path.clone(),
        stack_path: flags.stack_path.clone(),
        report_path: flags.report_path.clone(),
        project_metadata_path: flags.project_metadata_path.clone(),
        launcher_path: flags.launcher_path.clone(),
        launcher_sbom_dir: flags.launcher_sbom_dir.clone(),
        cache_dir: flags.cache_dir.clone(),
        launch_cache_dir: flags.launch_cache_dir.clone(),
        cache_image: flags.cache_image.clone(),
        process_type: flags.process_type.clone(),
        parallel: flags.parallel,
        output_image: flags.output_image.clone(),
        additional_names: flags.tags.clone(),
        exec_env: flags.exec_env.clone(),
        source_date_epoch: flags.source_date_epoch.clone(),
        compression: flags.compression,
    }
}
