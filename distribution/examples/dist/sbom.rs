//! What a program is made of, from `cargo metadata` and Cargo.lock: its crates but for those that only help to build it.
//!
//! Features are those of the whole workspace, so that a crate may be listed which a program of it leaves out, never the
//! other way round. Nothing depends on time or place: times are those of images, identifiers come of the contents.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, anyhow};
use layout::config::CREATED;
use layout::digest::sha256;
use serde::Deserialize;
use serde_json::{Value, json};

/// All crates, and which needs which.
#[derive(Debug)]
pub(super) struct Graph {
    packages: BTreeMap<String, Package>,
    needs: BTreeMap<String, Vec<String>>,
    /// By name and version.
    checksums: BTreeMap<(String, String), String>,
}

/// The crates of one program.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    graph: &'a Graph,
    top: &'a Package,
    crates: Vec<&'a Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// None is a plain dependency.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Graph {
    pub(super) fn read(metadata: &str, lock: &str) -> anyhow::Result<Self> {
        let metadata: Metadata =
            serde_json::from_str(metadata).context("failed to read what cargo metadata says")?;
        let lock: Lock = toml::from_str(lock).context("failed to read Cargo.lock")?;
        let of_node = |node: Node| {
            let is_plain = |it: &Dependency| it.dep_kinds.iter().any(|it| it.kind.is_none());
            let needs = node.deps.into_iter().filter(is_plain).map(|it| it.pkg);
            (node.id, needs.collect())
        };
        let checksum = |it: Locked| Some(((it.name, it.version), it.checksum?));
        let packages = metadata.packages.into_iter();
        Ok(Self {
            packages: packages.map(|it| (it.id.clone(), it)).collect(),
            needs: metadata.resolve.nodes.into_iter().map(of_node).collect(),
            checksums: lock.package.into_iter().filter_map(checksum).collect(),
        })
    }

    /// Returns what the program of one of our crates is made of.
    pub(super) fn of(&self, name: &str) -> anyhow::Result<Parts<'_>> {
        let mut packages = self.packages.values();
        let top = packages.find(|it| it.name == name && it.source.is_none());
        let top = top.ok_or_else(|| anyhow!("there is no crate {name}"))?;
        let mut seen = BTreeSet::new();
        let mut pending = vec![&top.id];
        while let Some(id) = pending.pop() {
            if self.packages.get(id).is_some_and(|it| !it.only_builds()) && seen.insert(id) {
                pending.extend(self.needs.get(id).into_iter().flatten());
            }
        }
        let others = seen.into_iter().filter(|it| **it != top.id);
        let mut crates: Vec<_> = others.filter_map(|it| self.packages.get(it)).collect();
        crates.sort_by_key(|it| (&it.name, &it.version));
        Ok(Parts {
            graph: self,
            top,
            crates,
        })
    }
}

impl Package {
    /// Macros run in the compiler.
    fn only_builds(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|it| &it.kind);
        kinds.any(|it| it == "proc-macro")
    }

    /// Our own crates are nowhere else, and names of theirs may be other people's there.
    fn url(&self) -> Option<String> {
        let (name, version) = (&self.name, &self.version);
        let is_foreign = self.source.is_some();
        is_foreign.then(|| format!("pkg:cargo/{name}@{version}"))
    }

    fn reference(&self) -> String {
        let own = || format!("slipway:{}@{}", self.name, self.version);
        self.url().unwrap_or_else(own)
    }

    /// Returns an SPDX expression; a slash is what crates wrote before there were any.
    fn license(&self) -> Option<String> {
        self.license.as_ref().map(|it| it.replace('/', " OR "))
    }
}

impl Parts<'_> {
    /// Returns the three formats that the exporter knows, by the middle of their file's names.
    pub(super) fn formats(&self) -> anyhow::Result<[(&'static str, String); 3]> {
        let text = |document: Value| serde_json::to_string_pretty(&document);
        Ok([
            ("cdx", text(self.cyclonedx())?),
            ("spdx", text(self.spdx())?),
            ("syft", text(self.syft())?),
        ])
    }

    fn all(&self) -> impl Iterator<Item = &Package> {
        std::iter::once(self.top).chain(self.crates.iter().copied())
    }

    fn checksum(&self, package: &Package) -> Option<&String> {
        let key = (package.name.clone(), package.version.clone());
        let is_foreign = package.source.is_some();
        self.graph.checksums.get(&key).filter(|_| is_foreign)
    }

    /// Returns the references of what a crate needs.
    fn needs(&self, package: &Package) -> Vec<String> {
        let needs = self.graph.needs.get(&package.id).into_iter().flatten();
        let there = |id: &&String| self.crates.iter().any(|it| it.id == **id);
        let needed = needs
            .filter(there)
            .filter_map(|id| self.graph.packages.get(id));
        let mut references: Vec<_> = needed.map(Package::reference).collect();
        references.sort_unstable();
        references
    }

    fn cyclonedx(&self) -> Value {
        let component = |kind: &str, package: &Package| {
            let mut component = json!({
                "type": kind,
                "bom-ref": package.reference(),
                "name": package.name,
                "version": package.version,
            });
            if let Some(url) = package.url() {
                component["purl"] = url.into();
            }
            if let Some(license) = package.license() {
                component["licenses"] = json!([{ "expression": license }]);
            }
            if let Some(checksum) = self.checksum(package) {
                component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
            }
            component
        };
        let crates = self.crates.iter().map(|it| component("library", it));
        let needs = self
            .all()
            .map(|it| json!({ "ref": it.reference(), "dependsOn": self.needs(it) }));
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": { "component": component("application", self.top) },
            "components": crates.collect::<Vec<_>>(),
            "dependencies": needs.collect::<Vec<_>>(),
        })
    }

    fn spdx(&self) -> Value {
        let id = |reference: &str| {
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '-'
                }
            };
            format!(
                "SPDXRef-{}",
                reference.chars().map(plain).collect::<String>()
            )
        };
        let package = |package: &Package| {
            let license = package
                .license()
                .unwrap_or_else(|| "NOASSERTION".to_owned());
            let mut described = json!({
                "SPDXID": id(&package.reference()),
                "name": package.name,
                "versionInfo": package.version,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": false,
                "licenseConcluded": "NOASSERTION",
                "licenseDeclared": license,
                "copyrightText": "NOASSERTION",
            });
            if let Some(url) = package.url() {
                described["externalRefs"] = json!([{
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": url,
                }]);
            }
            if let Some(checksum) = self.checksum(package) {
                described["checksums"] =
                    json!([{ "algorithm": "SHA256", "checksumValue": checksum }]);
            }
            described
        };
        let relation = |from: &str, kind: &str, to: &str| json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to });
        let top = id(&self.top.reference());
        let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", &top)];
        for it in self.all() {
            let from = id(&it.reference());
            let needs = self.needs(it);
            relations.extend(
                needs
                    .iter()
                    .map(|to| relation(&from, "DEPENDS_ON", &id(to))),
            );
        }
        let packages: Vec<_> = self.all().map(package).collect();
        let digest = sha256(json!(packages).to_string().as_bytes());
        let name = format!("{}-{}", self.top.name, self.top.version);
        json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": name,
            "documentNamespace": format!("https://spdx.org/spdxdocs/{name}-{}", digest.digest()),
            "creationInfo": { "created": CREATED, "creators": ["Tool: slipway"] },
            "packages": packages,
            "relationships": relations,
        })
    }

    fn syft(&self) -> Value {
        let artifact = |package: &&Package| {
            let licenses = package.license().into_iter().map(|it| {
                json!({ "value": it, "spdxExpression": it, "type": "declared", "urls": [], "locations": [] })
            });
            json!({
                "id": package.reference(),
                "name": package.name,
                "version": package.version,
                "type": "rust-crate",
                "foundBy": "cargo metadata",
                "locations": [],
                "licenses": licenses.collect::<Vec<_>>(),
                "language": "rust",
                "cpes": [],
                "purl": package.url().unwrap_or_default(),
            })
        };
        let relations = self.all().flat_map(|it| {
            let parent = it.reference();
            let needs = self.needs(it).into_iter();
            needs.map(
                move |child| json!({ "parent": child, "child": parent, "type": "dependency-of" }),
            )
        });
        json!({
            "artifacts": self.crates.iter().map(artifact).collect::<Vec<_>>(),
            "artifactRelationships": relations.collect::<Vec<_>>(),
            "source": {
                "id": self.top.reference(),
                "name": self.top.name,
                "version": self.top.version,
                "type": "file",
                "metadata": {},
            },
            "distro": {},
            "descriptor": { "name": "slipway", "version": self.top.version },
            "schema": {
                "version": "16.0.0",
                "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json",
            },
        })
    }
}
