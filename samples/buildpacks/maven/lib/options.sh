#!/usr/bin/env bash
# Sourced by bin/build: sets `options`, what Maven needs here beyond its goals.
# shellcheck disable=SC2154 # here, scratch, offline and say are set by bin/build
# With offline=true that is the user's settings alone: they name the repositories that the cached files came from.

options=()
certificates=/etc/ssl/certs/ca-certificates.crt

# What the platform binds (type and files, see the Service Binding specification).
for binding in "${SERVICE_BINDING_ROOT:-$CNB_PLATFORM_DIR/bindings}"/*/; do
  case $(cat "$binding/type" 2>/dev/null) in
    ca-certificates)
      cat "$certificates" "$binding"/*.crt "$binding"/*.pem >"$scratch/certificates.pem" 2>/dev/null || true
      say "Certificates: those of binding $(basename "$binding") too"
      ;;
    maven)
      options+=(--settings "$binding/settings.xml")
      say "Settings: those of binding $(basename "$binding")"
      ;;
  esac
done

if [[ $offline == true ]]; then
  options+=(--offline)
  return
fi

# Java reads no certificates in PEM, and the build image has no store of them in a form that it reads.
[[ ! -s $scratch/certificates.pem ]] || certificates=$scratch/certificates.pem
java "$here/lib/TrustStore.java" "$certificates" "$scratch/certificates.p12"
options+=("-Djavax.net.ssl.trustStore=$scratch/certificates.p12" -Djavax.net.ssl.trustStoreType=PKCS12)

# Java reads no proxy variables either. A proxy with a password needs a settings.xml.
for scheme in http https; do
  lower=${scheme}_proxy upper=${scheme^^}_PROXY
  proxy=${!lower:-${!upper:-}}
  [[ -n $proxy ]] || continue
  proxy=${proxy#*://} proxy=${proxy##*@} proxy=${proxy%%/*}
  options+=("-D$scheme.proxyHost=${proxy%%:*}")
  case $proxy in *:*) options+=("-D$scheme.proxyPort=${proxy##*:}") ;; esac
done
except=${no_proxy:-${NO_PROXY:-}}
if [[ -n $except ]]; then
  # Java's form of the list: | between names, *.example where others write .example
  except=$(tr -d ' ' <<<"$except" | sed 's/,/|/g; s/^\./*./; s/|\./|*./g')
  options+=("-Dhttp.nonProxyHosts=$except")
fi
