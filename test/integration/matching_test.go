package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

const boxesCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boxes.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: boxes, singular: box, kind: Box, listKind: BoxList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// A rule for one version of a resource also means the others, unless the match policy says that it is exact. The webhook sees the version of
// its rule, converted as the definition says.
func TestWebhooks_EquivalentVersions(t *testing.T) {
	s := startOne(t, hooked)
	w, h := newWebhooks(t), newConvertingHook(t)
	config := s.Workspace(workspace(t, s))
	client := h.install(t, config, "v1")
	apply(t, config, boxesCRD)
	typed, _ := annex.Clients(t, config)
	boxes := schema.GroupVersionResource{Group: "example.net", Version: "v2", Resource: "boxes"}
	eventually(t, "boxes are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(boxes).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	for name, policy := range map[string]admissionregistrationv1.MatchPolicyType{"equivalent": admissionregistrationv1.Equivalent, "exact": admissionregistrationv1.Exact} {
		w.validating(t, typed, name, "/"+name, func(h *admissionregistrationv1.ValidatingWebhook) {
			h.Rules = append(rulesFor("example.net", "v1", "doors"), rulesFor("example.net", "v1", "boxes")...)
			h.MatchPolicy = &policy
		})
	}
	validates(t, typed, "equivalent", `matchConstraints: {resourceRules: [{apiGroups: [example.net], apiVersions: [v1], operations: [CREATE], resources: [doors, boxes]}]}
validations: [{expression: "object.apiVersion == 'example.net/v1' && !(has(object.color) && object.color == 'black')", message: no black doors}]`, `validationActions: [Deny]`)
	for _, c := range []struct {
		resource schema.GroupVersionResource
		kind     string
		field    string // of v1
	}{{doorsV2, "Door", "color"}, {boxes, "Box", "paint"}} {
		object := func(paint string) *unstructured.Unstructured {
			return &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "example.net/v2", "kind": c.kind, "metadata": map[string]any{"name": uniqueName("new")}, "paint": paint,
			}}
		}
		var asked []*admissionv1.AdmissionRequest
		var name string
		eventually(t, "the webhook is asked about "+c.kind, func(ctx context.Context) (bool, error) {
			obj := object("red")
			name = obj.GetName()
			_, err := client.Resource(c.resource).Namespace("default").Create(ctx, obj, metav1.CreateOptions{})
			asked = w.requests("/equivalent", name)
			return len(asked) > 0, err
		})
		if r := asked[0]; r.Kind.Version != "v1" || r.RequestKind.Version != "v2" || r.Resource.Version != "v1" || r.RequestResource.Version != "v2" {
			t.Errorf("asked about %v %v, requested %v %v", r.Kind, r.Resource, r.RequestKind, r.RequestResource)
		}
		var sent map[string]any
		if err := json.Unmarshal(asked[0].Object.Raw, &sent); err != nil || sent["apiVersion"] != "example.net/v1" || sent[c.field] != "red" {
			t.Errorf("sent %v, %v", sent, err)
		}
		if n := len(w.requests("/exact", name)); n != 0 {
			t.Errorf("the webhook with an exact rule was asked %d times", n)
		}
		if c.kind == "Door" {
			eventually(t, "the policy sees the version of its rule", func(ctx context.Context) (bool, error) {
				_, err := client.Resource(c.resource).Namespace("default").Create(ctx, object("black"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return err != nil && strings.Contains(err.Error(), "no black doors"), nil
			})
		}
	}
	// What cannot be converted for a webhook is refused, and left alone by webhooks that need no conversion.
	h.set(true, nil)
	broken := door(uniqueName("broken"), "red")
	broken.SetAPIVersion("example.net/v2")
	if _, err := client.Resource(doorsV2).Namespace("default").Create(t.Context(), broken, metav1.CreateOptions{}); err == nil || !strings.Contains(err.Error(), "conversion webhook for example.net/v2, Kind=Door failed") {
		t.Errorf("got %v", err)
	}
	broken.SetAPIVersion("example.net/v1")
	if _, err := client.Resource(doors).Namespace("default").Create(t.Context(), broken, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

func TestWebhooks_Subjects(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	config := s.Workspace(workspace(t, s))
	typed, client := annex.Clients(t, config)
	apply(t, config, gadgetCRD)
	if _, err := typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "chosen", Labels: map[string]string{"team": "a"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	deletions := func(h *admissionregistrationv1.ValidatingWebhook) {
		h.Rules[0].Operations = []admissionregistrationv1.OperationType{admissionregistrationv1.Delete}
	}
	w.validating(t, typed, "object", "/object", func(h *admissionregistrationv1.ValidatingWebhook) {
		deletions(h)
		h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	})
	w.validating(t, typed, "namespace", "/namespace", func(h *admissionregistrationv1.ValidatingWebhook) {
		deletions(h)
		h.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	})
	w.validating(t, typed, "scale", "/scale", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.Rules = rulesFor("example.org", "v1", "gadgets/scale")
	})
	w.validating(t, typed, "gadgets", "/gadgets", func(h *admissionregistrationv1.ValidatingWebhook) { h.Rules = rulesFor("example.org", "v1", "gadgets") })
	w.validating(t, typed, "dry", "/dry", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.SideEffects = ptr.To(admissionregistrationv1.SideEffectClassNoneOnDryRun)
	})
	fails := func(policy admissionregistrationv1.FailurePolicyType) func(*admissionregistrationv1.ValidatingWebhook) {
		return func(h *admissionregistrationv1.ValidatingWebhook) {
			h.FailurePolicy = &policy
			h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"policy": string(policy)}}
			h.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "breaks", Expression: "object.data.missing == 'x'"}, {Name: "true", Expression: "true"}}
		}
	}
	w.validating(t, typed, "fail", "/fail", fails(admissionregistrationv1.Fail))
	w.validating(t, typed, "ignore", "/ignore", fails(admissionregistrationv1.Ignore))
	w.asksAbout(t, typed, "/dry", nil)
	eventually(t, "a condition that fails refuses", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().ConfigMaps("default").Create(ctx, aConfigMap(uniqueName("fails"), map[string]string{"policy": "Fail"}), metav1.CreateOptions{})
		return err != nil && strings.Contains(err.Error(), "no such key: missing"), nil
	})
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap("ignored", map[string]string{"policy": "Ignore"}), metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if n := len(w.requests("/ignore", "ignored")) + len(w.requests("/fail", "ignored")); n != 0 {
		t.Errorf("webhooks whose conditions fail were asked %d times", n)
	}

	for _, c := range []struct {
		namespace, name string
		labels          map[string]string
		object, scope   int
	}{
		{"default", "by-object", map[string]string{"team": "a"}, 1, 0},
		{"chosen", "by-namespace", nil, 0, 1},
		{"default", "by-neither", map[string]string{"team": "b"}, 0, 0},
	} {
		obj := aConfigMap(c.name, c.labels)
		obj.Namespace = c.namespace
		if _, err := typed.CoreV1().ConfigMaps(c.namespace).Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := typed.CoreV1().ConfigMaps(c.namespace).Delete(t.Context(), c.name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if object, scope := len(w.requests("/object", c.name)), len(w.requests("/namespace", c.name)); object != c.object || scope != c.scope {
			t.Errorf("%s: asked %d times by the object, %d by its namespace", c.name, object, scope)
		}
		for _, r := range append(w.requests("/object", c.name), w.requests("/namespace", c.name)...) {
			if r.Operation != admissionv1.Delete || len(r.Object.Raw) > 0 || len(r.OldObject.Raw) == 0 {
				t.Errorf("%s: asked %+v", c.name, r)
			}
		}
	}

	gadget := parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: cart, namespace: default}\nspec: {wheels: 3}")
	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(gadgets).Namespace("default").Create(ctx, gadget, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err), nil
	})
	if _, err := client.Resource(gadgets).Namespace("default").Patch(t.Context(), "cart", types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale"); err != nil {
		t.Fatal(err)
	}
	asked := w.requests("/scale", "cart")
	if len(asked) != 1 || asked[0].Kind.Kind != "Scale" || asked[0].SubResource != "scale" || asked[0].Resource.Resource != "gadgets" || asked[0].Operation != admissionv1.Update {
		t.Errorf("about the scale: %+v", asked)
	}
	for _, r := range w.requests("/gadgets", "cart") {
		if r.SubResource != "" {
			t.Errorf("a rule for the resource means %+v", r)
		}
	}
}

func TestPolicies_MutatingWithParameters(t *testing.T) {
	s := start(t)
	typed, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	api := typed.AdmissionregistrationV1()
	policy := func(name, spec string) {
		t.Helper()
		p := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
			t.Fatal(err)
		}
		if _, err := api.MutatingAdmissionPolicies().Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	bind := func(name, policy, rest string) {
		t.Helper()
		b := &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := yaml.UnmarshalStrict([]byte(rest), &b.Spec); err != nil {
			t.Fatal(err)
		}
		b.Spec.PolicyName = policy
		if _, err := api.MutatingAdmissionPolicyBindings().Create(t.Context(), b, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"one", "two"} {
		param := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"for": "policy"}}, Data: map[string]string{"label-" + name: name}}
		if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), param, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	const onSecrets = `matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]}
`
	const byData = onSecrets + `reinvocationPolicy: Never
paramKind: {apiVersion: v1, kind: ConfigMap}
mutations: [{patchType: JSONPatch, jsonPatch: {expression: 'params.data.map(key, JSONPatch{op: "add", path: "/metadata/labels/" + key, value: params.data[key]})'}}]`
	policy("params", byData)
	bind("selected", "params", `{paramRef: {namespace: default, parameterNotFoundAction: Deny, selector: {matchLabels: {for: policy}}}, matchResources: {objectSelector: {matchLabels: {test: selected}}}}`)
	bind("named", "params", `{paramRef: {namespace: default, parameterNotFoundAction: Deny, name: one}, matchResources: {objectSelector: {matchLabels: {test: named}}}}`)
	bind("missing", "params", `{paramRef: {namespace: default, parameterNotFoundAction: Deny, name: nothing}, matchResources: {objectSelector: {matchLabels: {test: missing}}}}`)
	bind("allowed", "params", `{paramRef: {namespace: default, parameterNotFoundAction: Allow, name: nothing}, matchResources: {objectSelector: {matchLabels: {test: allowed}}}}`)
	create := func(ctx context.Context, test string) (*corev1.Secret, error) {
		return typed.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: uniqueName("params"), Labels: map[string]string{"test": test}}}, metav1.CreateOptions{})
	}
	eventually(t, "the last binding is there", func(ctx context.Context) (bool, error) {
		_, err := create(ctx, "missing")
		return err != nil && strings.Contains(err.Error(), "no params found"), nil
	})
	for test, want := range map[string]map[string]string{
		"selected": {"test": "selected", "label-one": "one", "label-two": "two"},
		"named":    {"test": "named", "label-one": "one"},
		"allowed":  {"test": "allowed"},
	} {
		eventually(t, test+" is applied", func(ctx context.Context) (bool, error) {
			got, err := create(ctx, test)
			return err == nil && fmt.Sprint(got.Labels) == fmt.Sprint(want), err
		})
	}

	// A policy that ran before another one changed the object runs again if it wants to.
	for name, when := range map[string]string{"a-again": "IfNeeded", "a-once": "Never"} {
		policy(name, fmt.Sprintf(onSecrets+`reinvocationPolicy: %s
mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {"%s": "late" in object.metadata.labels ? "late" : "early"}}}'}}]`, when, name))
		bind(name, name, `{matchResources: {objectSelector: {matchLabels: {test: again}}}}`)
	}
	policy("b-late", onSecrets+`reinvocationPolicy: Never
mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {"late": "yes"}}}'}}]`)
	bind("b-late", "b-late", `{matchResources: {objectSelector: {matchLabels: {test: again}}}}`)
	var last map[string]string
	eventually(t, "all policies run", func(ctx context.Context) (bool, error) {
		got, err := create(ctx, "again")
		if err != nil {
			return false, err
		}
		last = got.Labels
		return last["late"] != "" && last["a-again"] != "" && last["a-once"] != "", nil
	})
	if last["a-again"] != "late" || last["a-once"] != "early" {
		t.Errorf("a policy that runs again, and one that does not, made %v", last)
	}
}
