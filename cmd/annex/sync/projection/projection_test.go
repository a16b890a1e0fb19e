package projection

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
)

// newSource returns a definition with versions such as "v1 v1beta1+ v1alpha1-": + is the storage version, - is not served.
func newSource(versions string, converts bool) *apiextensionsv1.CustomResourceDefinition {
	d := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "bundles.example.com", Annotations: map[string]string{"other": "x"}, Labels: map[string]string{"a": "b"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.ClusterScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "bundles", Singular: "bundle", Kind: "Bundle", ListKind: "BundleList", ShortNames: []string{"bu"}},
		},
	}
	if converts {
		d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter}
	}
	for _, name := range strings.Fields(versions) {
		d.Spec.Versions = append(d.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: strings.Trim(name, "+-"), Served: !strings.HasSuffix(name, "-"), Storage: strings.HasSuffix(name, "+"),
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
		})
	}
	return d
}

func TestDefinition_Versions(t *testing.T) {
	for name, tc := range map[string]struct {
		versions string
		converts bool
		wanted   string
		want     string // + is the storage version
		fails    string
	}{
		"all that are served":                  {"v1alpha1- v1beta1+ v1", false, "", "v1 v1beta1+", ""},
		"the storage version is not served":    {"v1 v1beta1-+ v1beta2", false, "", "v1+ v1beta2", ""},
		"those that are wanted":                {"v1 v1beta1+ v2", false, "v2 v1", "v2+ v1", ""},
		"a webhook converts":                   {"v1 v1beta1+", true, "", "v1beta1+", ""},
		"a webhook converts to what is wanted": {"v1 v1beta1+", true, "v1", "v1+", ""},
		"a webhook converts between two":       {"v1 v1beta1+", true, "v1 v1beta1", "", "a webhook of the service cluster converts"},
		"one that is not served":               {"v1+ v2-", false, "v2", "", `version "v2" is not served`},
		"none is served":                       {"v1-", false, "", "", "no version is served"},
		"none is served, and a webhook":        {"v1-", true, "", "", "no version is served"},
	} {
		source := newSource(tc.versions, tc.converts)
		// The mark of a storage version that is not served.
		for i := range source.Spec.Versions {
			if strings.HasSuffix(strings.Fields(tc.versions)[i], "-+") {
				source.Spec.Versions[i].Served = false
			}
		}
		got, plan, err := Definition(source, &config.Resource{Versions: strings.Fields(tc.wanted)})
		if tc.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: %v, want %q", name, err, tc.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var versions []string
		for _, v := range got.Spec.Versions {
			text := v.Name
			if v.Storage {
				text += "+"
				if plan.Consumer.Version != v.Name || plan.Service.Version != v.Name {
					t.Errorf("%s: version %s is stored, and %+v synchronized", name, v.Name, plan)
				}
			}
			versions = append(versions, text)
		}
		if diff := cmp.Diff(strings.Fields(tc.want), versions); diff != "" || got.Spec.Conversion != nil {
			t.Errorf("%s: %v, %s", name, got.Spec.Conversion, diff)
		}
	}
}

func TestDefinition_Projection(t *testing.T) {
	source := newSource("v1+", false)
	got, plan, err := Definition(source, &config.Resource{Projection: &config.Projection{Group: "other.io", Kind: "Trust", Plural: "trusts", Scope: "Namespaced", Categories: []string{"all"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := apiextensionsv1.CustomResourceDefinitionNames{Plural: "trusts", Singular: "trust", Kind: "Trust", ListKind: "TrustList", Categories: []string{"all"}}
	if diff := cmp.Diff(want, got.Spec.Names); diff != "" || got.Name != "trusts.other.io" || got.Spec.Scope != apiextensionsv1.NamespaceScoped || len(got.Annotations)+len(got.Labels) > 0 {
		t.Errorf("%+v %s", got.ObjectMeta, diff)
	}
	if plan.Service.Kind != "Bundle" || plan.Consumer.Kind != "Trust" || !plan.ConsumerNamespaced || plan.ServiceNamespaced || plan.Status {
		t.Errorf("plan: %+v", plan)
	}
	if source.Spec.Names.Kind != "Bundle" || source.Spec.Scope != apiextensionsv1.ClusterScoped {
		t.Error("the source was changed")
	}
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = obj.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

const consumers = `
apiVersion: example.com/v1
kind: Database
metadata:
  name: main
  namespace: team
  uid: u-1
  generation: 5
  labels: {example.com/tier: gold, argocd.argoproj.io/instance: other, sync.annex.dev/agent: forged}
  annotations: {kcp.io/cluster: c, example.com/note: text, kubectl.kubernetes.io/last-applied-configuration: x, sync.annex.dev/cluster: forged}
  finalizers: [sync.annex.dev/counterpart]
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: b}]
spec: {size: 3, image: registry/db, secret: {name: creds}, extra: {host: true}}
status: {forged: true}
`

func newConverter(t *testing.T, layout config.Layout, r config.Resource) *Converter {
	t.Helper()
	r.Group, r.Resource = "example.com", "databases"
	plan := Plan{ConsumerNamespaced: true, ServiceNamespaced: true, Status: true}
	plan.Consumer.Kind, plan.Service.Kind, plan.Service.Group, plan.Service.Version = "Database", "Database", "example.com", "v1"
	naming := config.Naming{Layout: layout, NamespacePrefix: "sync-"}
	if layout == config.SingleNamespace {
		naming = config.Naming{Layout: layout, Namespace: "all"}
	}
	c, err := NewConverter(&r, plan, names.Scheme{Agent: "a", Naming: naming})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Of what a consumer writes, only the spec and the listed metadata reach the service cluster. Names and marks are the agent's.
func TestToService_TakesNothingElse(t *testing.T) {
	c := newConverter(t, config.NamespacePerNamespace, config.Resource{Metadata: config.Metadata{Labels: []string{"example.com/*"}, Annotations: []string{"example.com/note"}}})
	got, err := c.ToService(parse(t, consumers))
	if err != nil {
		t.Fatal(err)
	}
	key := client.Key{Cluster: "c", Namespace: "team", Name: "main"}
	namespace := c.names.Namespace(key)
	want := parse(t, consumers)
	metadata := map[string]any{
		"name": "main", "namespace": namespace,
		"labels": map[string]any{"example.com/tier": "gold", "sync.annex.dev/agent": "a", "sync.annex.dev/namespace": namespace},
		"annotations": map[string]any{
			"example.com/note": "text", "sync.annex.dev/cluster": "c", "sync.annex.dev/workspace-namespace": "team", "sync.annex.dev/workspace-name": "main",
			"sync.annex.dev/uid": "u-1", "sync.annex.dev/generation": "5", "sync.annex.dev/applied": got.GetAnnotations()[names.AppliedAnnotation],
		},
	}
	if diff := cmp.Diff(map[string]any{"apiVersion": "example.com/v1", "kind": "Database", "metadata": metadata, "spec": want.Object["spec"]}, got.Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := c.ToService(parse(t, consumers))
	if err != nil || again.GetAnnotations()[names.AppliedAnnotation] != got.GetAnnotations()[names.AppliedAnnotation] {
		t.Errorf("the same is another time %v, %v", again, err)
	}
}

func TestToService_Rules(t *testing.T) {
	rules := config.Mutation{Spec: []config.Rule{
		{Delete: &config.PathRule{Path: "spec.extra.host"}},
		{Replace: &config.ReplaceRule{Path: "spec.image", Pattern: "^registry/", Replacement: "mirror/"}},
		{Set: &config.SetRule{Path: "spec.owner", Value: &runtime.RawExtension{Raw: []byte(`{"who":"$(cluster)/$(namespace)/$(name) in $(serviceNamespace)","n":1}`)}}},
	}}
	c := newConverter(t, config.NamespacePerNamespace, config.Resource{Mutation: rules})
	got, err := c.ToService(parse(t, consumers))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"size": int64(3), "image": "mirror/db", "secret": map[string]any{"name": "creds"}, "extra": map[string]any{},
		"owner": map[string]any{"who": "c/team/main in " + got.GetNamespace(), "n": int64(1)},
	}
	if diff := cmp.Diff(want, got.Object["spec"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c = newConverter(t, config.NamespacePerNamespace, config.Resource{Mutation: config.Mutation{Spec: []config.Rule{{Forbid: &config.PathRule{Path: "spec.extra.host"}}}}})
	if _, err := c.ToService(parse(t, consumers)); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "spec.extra.host") {
		t.Errorf("a forbidden field: %v", err)
	}
	// A variable in what a consumer has called its object is not one.
	if got := Expand("$(name)", map[string]string{"name": "$(cluster)", "cluster": "c"}); got != "$(cluster)" {
		t.Errorf("a name was expanded: %s", got)
	}
}

// In a namespace that consumers share, a consumer cannot name what another one has.
func TestToService_ReferencesInSharedNamespaces(t *testing.T) {
	related := config.Resource{Related: []config.Related{{ID: "creds", Resource: "secrets", Origin: config.FromService, Reference: "spec.secret.name"}}}
	name := func(c *Converter) string {
		got, err := c.ToService(parse(t, consumers))
		if err != nil {
			t.Fatal(err)
		}
		s, _, _ := unstructured.NestedString(got.Object, "spec", "secret", "name")
		return s
	}
	if got := name(newConverter(t, config.NamespacePerNamespace, related)); got != "creds" {
		t.Errorf("in a namespace of its own: %s", got)
	}
	for _, layout := range []config.Layout{config.NamespacePerConsumer, config.SingleNamespace} {
		c := newConverter(t, layout, related)
		other := client.Key{Cluster: "d", Namespace: "team", Name: "main"}
		if got := name(c); got == "creds" || got != c.RelatedName(&related.Related[0], client.Key{Cluster: "c", Namespace: "team", Name: "main"}, "creds") || got == c.RelatedName(&related.Related[0], other, "creds") {
			t.Errorf("%s: %s", layout, got)
		}
	}
	related.Related[0].Origin, related.Related[0].ServiceNamespace = config.FromWorkspace, "operators"
	if got := name(newConverter(t, config.NamespacePerNamespace, related)); got == "creds" {
		t.Errorf("in the operator's namespace: %s", got)
	}
}

// Clients that wait for observedGeneration see that of their own object.
func TestStatusOf_Generations(t *testing.T) {
	c := newConverter(t, config.NamespacePerNamespace, config.Resource{Mutation: config.Mutation{Status: []config.Rule{{Delete: &config.PathRule{Path: "status.internal"}}}}})
	counterpart := parse(t, `
apiVersion: example.com/v1
kind: Database
metadata: {name: main, namespace: n, generation: 9, annotations: {sync.annex.dev/generation: "5"}}
status: {observedGeneration: 9, internal: x, conditions: [{type: Ready, observedGeneration: 9}, {type: Old, observedGeneration: 8}, {type: Older, observedGeneration: 2}, {type: None}]}
`)
	got, ok, err := c.StatusOf(counterpart, client.Key{Cluster: "c", Namespace: "team", Name: "main"})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	want := map[string]any{"observedGeneration": int64(5), "conditions": []any{
		map[string]any{"type": "Ready", "observedGeneration": int64(5)}, map[string]any{"type": "Old", "observedGeneration": int64(4)},
		map[string]any{"type": "Older", "observedGeneration": int64(2)}, map[string]any{"type": "None"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if seen, _, _ := unstructured.NestedInt64(counterpart.Object, "status", "observedGeneration"); seen != 9 {
		t.Error("the counterpart was changed")
	}
	delete(counterpart.Object, "status")
	if _, ok, err := c.StatusOf(counterpart, client.Key{}); ok || err != nil {
		t.Errorf("no status: %v, %v", ok, err)
	}
}
