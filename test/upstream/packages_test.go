package upstream

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// use says what becomes of a package.
type use struct {
	in  string // a folder of ours whose tests import it
	not string // why none does
}

const (
	tool       = "helps to write tests and has none: a clock, a fake, or a check of something else's code"
	ownTypes   = "types and schemas for upstream's own tests, not for others' code"
	stockLogic = "for code that we take from upstream as it is, and do not replace"
	notOurs    = "for something that Annex has not: "
)

// packages are those in k8s.io and sigs.k8s.io/controller-runtime.
var packages = map[string]use{
	"k8s.io/apiextensions-apiserver/test/integration":                      {not: "starts upstream's own server; the cases of ratcheting are about the stock CRD handler, which we call"},
	"k8s.io/apiextensions-apiserver/test/integration/conversion":           {not: "receives conversions by webhook for upstream's own server"},
	"k8s.io/apiextensions-apiserver/test/integration/fixtures":             {not: "starts upstream's own server, and creates CRDs in it that are served under its groups"},
	"k8s.io/apiextensions-apiserver/test/integration/storage":              {not: "reads etcd by upstream's keys; TestKey_IsWrittenAsInTheGoldenFile has ours"},
	"k8s.io/apiextensions-apiserver/pkg/test":                              {not: "evaluates the rules of one's own CRDs; ours are generated without rules"},
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/testing":                {not: "starts upstream's own server"},
	"k8s.io/apimachinery/pkg/util/net/testing":                             {not: tool},
	"k8s.io/apimachinery/pkg/util/managedfields/managedfieldstest":         {not: "a manager of fields for tests, and no test; test/parity compares what server-side apply does with kube-apiserver's answers"},
	"k8s.io/apimachinery/pkg/util/strategicpatch/testing":                  {not: stockLogic},
	"k8s.io/apimachinery/pkg/runtime/testing":                              {not: "its test of encoders is for those of answers, which are upstream's"},
	"k8s.io/apimachinery/pkg/runtime/testing/v1":                           {not: ownTypes},
	"k8s.io/apimachinery/pkg/api/apitesting":                               {not: tool},
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer":                        {in: "registry/kinds"},
	"k8s.io/apimachinery/pkg/api/apitesting/naming":                        {not: "wants internal types without tags; ours are the external ones (package kinds)"},
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip":                     {in: "registry/kinds"},
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper":                      {not: tool},
	"k8s.io/apimachinery/pkg/test":                                         {not: ownTypes},
	"k8s.io/apimachinery/pkg/test/coverage":                                {not: ownTypes},
	"k8s.io/apimachinery/pkg/apis/testapigroup":                            {not: ownTypes},
	"k8s.io/apimachinery/pkg/apis/testapigroup/fuzzer":                     {not: ownTypes},
	"k8s.io/apimachinery/pkg/apis/testapigroup/v1":                         {not: ownTypes},
	"k8s.io/apimachinery/pkg/apis/testapigroup/install":                    {not: ownTypes},
	"k8s.io/apiserver/plugin/pkg/authenticator/token/tokentest":            {not: tool},
	"k8s.io/apiserver/pkg/server/statusz/testing":                          {not: stockLogic},
	"k8s.io/apiserver/pkg/server/flagz/testing":                            {not: stockLogic},
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/testing":            {not: tool},
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/testing/promise":    {not: tool},
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/testing/eventclock": {not: tool},
	"k8s.io/apiserver/pkg/storage/cacher/testing":                          {not: tool},
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope/testing/v2":       {not: tool},
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope/testing/v1beta1":  {not: notOurs + "the first version of KMS"},
	"k8s.io/apiserver/pkg/storage/testresource":                            {not: ownTypes},
	"k8s.io/apiserver/pkg/storage/testing":                                 {in: "registry/storage"},
	"k8s.io/apiserver/pkg/storage/etcd3/testserver":                        {in: "registry/storage"},
	"k8s.io/apiserver/pkg/storage/etcd3/testing":                           {not: "starts an etcd, as testserver does"},
	"k8s.io/apiserver/pkg/storage/etcd3/testing/testingcert":               {not: tool},
	"k8s.io/apiserver/pkg/registry/rest/resttest":                          {in: "registry/kinds"},
	"k8s.io/apiserver/pkg/registry/generic/testing":                        {not: "runs resttest without a cluster in the context; registry/kinds runs it with one"},
	"k8s.io/apiserver/pkg/endpoints/openapi/testing":                       {not: ownTypes},
	"k8s.io/apiserver/pkg/endpoints/testing":                               {not: ownTypes},
	"k8s.io/apiserver/pkg/admission/plugin/webhook/testcerts":              {not: "certificates of the receiver of webhooks; ours present none to it, so it gets another"},
	"k8s.io/apiserver/pkg/admission/plugin/webhook/testing":                {in: "server/admission/webhook"},
	"k8s.io/apiserver/pkg/admission/plugin/webhook/testing/main":           {not: tool},
	"k8s.io/apiserver/pkg/admission/testing":                               {in: "server/admission/workspace"},
	"k8s.io/client-go/util/testing":                                        {not: tool},
	"k8s.io/client-go/openapi/openapitest":                                 {not: tool},
	"k8s.io/client-go/features/testing":                                    {not: tool},
	"k8s.io/client-go/tools/cache/testing":                                 {not: tool},
	"k8s.io/client-go/tools/clientcmd/api/latest":                          {not: "is for tests by the end of its name only"},
	"k8s.io/client-go/testing":                                             {not: tool},
	"k8s.io/component-base/config/testing":                                 {not: notOurs + "a component configuration of its own"},
	"k8s.io/component-base/metrics/testutil":                               {in: "server/admission/webhook"},
	"k8s.io/component-base/featuregate/testing":                            {in: "registry/storage"},
	"k8s.io/component-base/logs/testinit":                                  {not: tool},
	"k8s.io/component-helpers/node/util/sysctl/testing":                    {not: notOurs + "nodes"},
	"k8s.io/component-helpers/nodedeclaredfeatures/testing":                {not: notOurs + "nodes"},
	"k8s.io/klog/v2/ktesting":                                              {not: tool},
	"k8s.io/klog/v2/ktesting/init":                                         {not: tool},
	"k8s.io/klog/v2/test":                                                  {not: stockLogic},
	"k8s.io/kube-openapi/pkg/util/proto/testing":                           {not: tool},
	"k8s.io/kube-openapi/pkg/util/jsontesting":                             {not: tool},
	"k8s.io/pod-security-admission/test":                                   {not: notOurs + "pods"},
	"k8s.io/utils/exec/testing":                                            {not: tool},
	"k8s.io/utils/clock/testing":                                           {in: "server/admission/webhook"},
	"k8s.io/utils/temp/temptest":                                           {not: tool},
	"sigs.k8s.io/controller-runtime/hack/boilerplate/test":                 {not: tool},
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest":                {not: tool},
	"sigs.k8s.io/controller-runtime/pkg/envtest":                           {not: "starts a kube-apiserver, as test/framework/host does"},
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega":                    {not: tool},
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest":         {not: tool},
}

// forTests finds what a path says that is for tests.
var forTests = regexp.MustCompile(`(^|/)(test|tests|testing|fixtures|test[a-z]+|[a-z]+test|[a-z]*testing)(/|$)`)

// modules returns the folders of the modules of Kubernetes that we require.
func modules(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{if not .Indirect}}{{.Path}} {{.Dir}}{{end}}", "all").Output()
	if err != nil {
		t.Fatalf("listing modules: %v", err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if dir != "" && (strings.HasPrefix(path, "k8s.io/") || strings.HasPrefix(path, "sigs.k8s.io/")) {
			found[path] = dir
		}
	}
	return found
}

// isForTests reports whether a folder has a package that others can import for tests.
func isForTests(t *testing.T, folder, path string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	if len(files) == 0 {
		return false
	}
	if forTests.MatchString(path) {
		return true
	}
	return slices.ContainsFunc(files, func(name string) bool { return importsPath(t, name, "testing") })
}

func importsPath(t *testing.T, file, path string) bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		if strings.Trim(spec.Path.Value, `"`) == path {
			return true
		}
	}
	return false
}

func TestPackages_AreListed(t *testing.T) {
	found := map[string]bool{}
	for module, dir := range modules(t) {
		err := filepath.WalkDir(dir, func(folder string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			if slices.Contains([]string{"internal", "testdata", "vendor", "fake"}, entry.Name()) || strings.HasPrefix(entry.Name(), "_") {
				return fs.SkipDir
			}
			inside, err := filepath.Rel(dir, folder)
			if err != nil {
				return err
			}
			if isForTests(t, folder, filepath.ToSlash(inside)) {
				found[module+"/"+filepath.ToSlash(inside)] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for path := range found {
		if _, ok := packages[path]; !ok {
			t.Errorf("%s is not listed", path)
		}
	}
	for path := range packages {
		if !found[path] {
			t.Errorf("%s is listed, and there is no such package for tests", path)
		}
	}
}

func TestPackages_AreUsedWhereTheListSays(t *testing.T) {
	for path, use := range packages {
		if (use.in == "") == (use.not == "") {
			t.Errorf("%s needs either a folder or a reason", path)
			continue
		}
		if use.in == "" {
			continue
		}
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(use.in), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(name string) bool { return importsPath(t, name, path) }) {
			t.Errorf("no test in %s imports %s", use.in, path)
		}
	}
}
