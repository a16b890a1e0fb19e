#!/usr/bin/env bash
# Writes all generated code of the repository: zz_generated.* beside the API types, also those of the examples, everything below generated/,
# docs/api-reference.md, and the table of values in charts/annex/README.md. make generate calls it, and make verify-generate calls it with --check.
#
#   generate.sh           write what is generated
#   generate.sh --check   change nothing; print what is not up to date, and end with 1 if anything is
#
# The generators are built from the module in this folder, at the versions of its go.mod, into bin/codegen, and run on a
# copy of the sources: a generator that fails leaves the checkout as it was.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
bin="$root/bin/codegen"
module=github.com/annex-dev/annex
header="$here/header.txt"

mkdir -p "$bin"
(cd "$here" && GOWORK=off go build -o "$bin/" tool)

copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/test/tools"
cp -r "$root"/go.* "$root/apis" "$copy/"
mkdir -p "$copy/client" "$copy/generated"
cp -r "$root/examples" "$copy/"
cp "$root"/client/go.* "$copy/client/"
cp "$root"/generated/go.* "$copy/generated/"
cp -r "$root/test/tools/apidocs" "$root/test/tools/chartdocs" "$root/test/tools/modelschema" "$copy/test/tools/"
for chart in annex annex-sync; do
  mkdir -p "$copy/charts/$chart"
  cp "$root/charts/$chart/README.md" "$root/charts/$chart/values.yaml" "$copy/charts/$chart/"
done
cd "$copy"
# Out with the old first: a generator that finds a file of its own may build on it.
find apis examples -name 'zz_generated.*.go' -delete
mkdir -p docs

groups=(core/v1alpha1 tenancy/v1alpha1 apis/v1alpha1 apis/v1alpha2 topology/v1alpha1 cache/v1alpha1 annex/v1alpha1)
packages=("$module/apis/conditions/v1alpha1")
for g in "${groups[@]}"; do packages+=("$module/apis/$g"); done
examples=("$module"/examples/{database-operator,route-operator,composition}/api/v1)

# Types of k8s.io that we serve ourselves, or that our own types are made of.
served=(
  k8s.io/api/{core,rbac,coordination,events,authorization,authentication,admissionregistration,autoscaling,certificates}/v1
  k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1
  k8s.io/apimachinery/pkg/apis/meta/v1
  k8s.io/apimachinery/pkg/{runtime,version,api/resource,util/intstr}
)

echo "deep copies, defaults, conversions"
"$bin/deepcopy-gen" --go-header-file "$header" --output-file zz_generated.deepcopy.go "${packages[@]}" "${examples[@]}"
"$bin/defaulter-gen" --go-header-file "$header" --output-file zz_generated.defaults.go "${packages[@]}"
"$bin/conversion-gen" --go-header-file "$header" --output-file zz_generated.conversion.go "$module/apis/apis/v1alpha1"
# The generator registers its functions from init() into a variable of the package. Ours are registered by whoever builds
# a scheme, by RegisterConversions, so the init goes.
sed -i '/^func init() {$/,/^}$/d' apis/apis/v1alpha1/zz_generated.conversion.go
gofmt -w apis/apis/v1alpha1/zz_generated.conversion.go

echo "OpenAPI"
readonly_flags=()
for p in "${served[@]}"; do readonly_flags+=(--readonly-pkg "$p"); done
# With a report file the known violations of API rules in k8s.io/api do not fail the run.
"$bin/openapi-gen" --go-header-file "$header" --output-dir generated/openapi --output-pkg "$module/generated/openapi" \
  --output-file zz_generated.openapi.go --output-model-name-file zz_generated.model_name.go \
  --report-filename "$bin/openapi-violations.txt" "${readonly_flags[@]}" "${served[@]}" "${packages[@]}"

echo "apply configurations, clientset, listers, informers"
clientapis=()
inputs=()
for g in "${groups[@]}"; do clientapis+=("$module/apis/$g"); inputs+=(--input "$g"); done
external=(
  k8s.io/api/rbac/v1.PolicyRule:k8s.io/client-go/applyconfigurations/rbac/v1
  k8s.io/api/core/v1.TypedLocalObjectReference:k8s.io/client-go/applyconfigurations/core/v1
  k8s.io/api/core/v1.SecretReference:k8s.io/client-go/applyconfigurations/core/v1
)
go run ./test/tools/modelschema >"$copy/models.json"
# Conditions belong to no group, so they have no apply configuration: status takes them as they are.
"$bin/applyconfiguration-gen" --go-header-file "$header" --output-dir generated/applyconfiguration \
  --output-pkg "$module/generated/applyconfiguration" --external-applyconfigurations "$(IFS=,; echo "${external[*]}")" \
  --openapi-schema "$copy/models.json" \
  "${clientapis[@]}"
# See test/tools/modelschema: names made of Go paths become those of the models.
find generated/applyconfiguration -name '*.go' -exec sed -i -e 's/com\.github\.annex-dev\.annex\.apis\.annex\./dev.annex./g' -e 's/com\.github\.annex-dev\.annex\.apis\./io.kcp./g' {} +
"$bin/client-gen" --go-header-file "$header" --output-dir generated/clientset --output-pkg "$module/generated/clientset" \
  --clientset-name versioned --apply-configuration-package "$module/generated/applyconfiguration" \
  --input-base "$module/apis" "${inputs[@]}"
"$bin/lister-gen" --go-header-file "$header" --output-dir generated/listers --output-pkg "$module/generated/listers" "${clientapis[@]}"
"$bin/informer-gen" --go-header-file "$header" --output-dir generated/informers --output-pkg "$module/generated/informers" \
  --versioned-clientset-package "$module/generated/clientset/versioned" --listers-package "$module/generated/listers" "${clientapis[@]}"

echo "docs/api-reference.md"
go run ./test/tools/apidocs -root . -out docs/api-reference.md \
  core/v1alpha1 tenancy/v1alpha1 apis/v1alpha2 apis/v1alpha1 topology/v1alpha1 cache/v1alpha1 annex/v1alpha1 conditions/v1alpha1

echo "charts/*/README.md"
for chart in annex annex-sync; do go run ./test/tools/chartdocs charts/$chart; done

if [ "${1:-}" = --check ]; then
  status=0
  for path in apis generated examples docs/api-reference.md charts/annex/README.md charts/annex-sync/README.md; do
    diff -ruN "$root/$path" "$copy/$path" || status=1
  done
  if [ $status != 0 ]; then echo "generated code is not up to date: run make generate and commit what it writes" >&2; fi
  exit $status
fi

find "$root/apis" "$root/examples" -name 'zz_generated.*.go' -delete
(cd "$copy" && find apis examples -name 'zz_generated.*.go' -exec cp --parents {} "$root/" \;)
rm -rf "$root/generated"
cp -r "$copy/generated" "$root/generated"
mkdir -p "$root/docs"
cp "$copy/docs/api-reference.md" "$root/docs/api-reference.md"
for chart in annex annex-sync; do cp "$copy/charts/$chart/README.md" "$root/charts/$chart/README.md"; done
