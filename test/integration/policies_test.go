package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/projects"
)

var (
	policies       = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingadmissionpolicies")
	policyBindings = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingadmissionpolicybindings")
)

// validates creates a policy with the given spec, in YAML, and a binding of it, and waits until both are applied.
func validates(t *testing.T, typed kubernetes.Interface, name, spec, binding string) {
	t.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	bound := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for document, into := range map[string]any{spec: &policy.Spec, binding: &bound.Spec} {
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Fatal(err)
		}
	}
	bound.Spec.PolicyName = name
	if _, err := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(t.Context(), bound, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

const onConfigMaps = `matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}
`

// refusesProbe waits until creating a ConfigMap with the labels is refused with a message.
func refusesProbe(t *testing.T, typed kubernetes.Interface, labels map[string]string, message string) {
	t.Helper()
	var last error
	eventually(t, "a ConfigMap is refused: "+message, func(ctx context.Context) (bool, error) {
		_, last = typed.CoreV1().ConfigMaps("default").Create(ctx, aConfigMap(uniqueName("probe"), labels), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return last != nil && strings.Contains(last.Error(), message), nil
	})
}

func TestPolicies_Validating(t *testing.T) {
	s := start(t)
	path, other := workspace(t, s), workspace(t, s)
	typed, _ := annex.Clients(t, s.Workspace(path))
	elsewhere, _ := annex.Clients(t, s.Workspace(other))
	const spec = onConfigMaps + `
matchConditions: [{name: not-exempt, expression: "!has(object.metadata.labels) || !('exempt' in object.metadata.labels)"}]
variables: [{name: count, expression: "has(object.data) ? size(object.data) : 0"}]
validations:
- {expression: "variables.count <= 1", messageExpression: "'too many keys: ' + string(variables.count)", reason: Forbidden}
- {expression: "namespaceObject.metadata.name == 'default'", message: only in the default namespace}
- {expression: "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()", message: no rights}
- {expression: "!authorizer.serviceAccount('default', 'default').group('').resource('secrets').namespace('default').check('get').allowed()", message: too many rights}
auditAnnotations: [{key: count, valueExpression: "string(variables.count)"}]
`
	validates(t, typed, "count", spec, "validationActions: [Deny]")
	create := func(client kubernetes.Interface, name string, labels map[string]string, keys ...string) error {
		obj := aConfigMap(name, labels)
		obj.Data = map[string]string{}
		for _, key := range keys {
			obj.Data[key] = "b"
		}
		_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), obj, metav1.CreateOptions{})
		return err
	}
	eventually(t, "the policy is applied", func(context.Context) (bool, error) {
		return create(typed, uniqueName("many"), nil, "a", "b", "c") != nil, nil
	})
	err := create(typed, "many", nil, "a", "b")
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'count' with binding 'count' denied request: too many keys: 2") {
		t.Errorf("got %v", err)
	}
	if err := create(typed, "few", nil, "a"); err != nil {
		t.Error(err)
	}
	if err := create(typed, "exempt", map[string]string{"exempt": "yes"}, "a", "b"); err != nil {
		t.Errorf("a match condition is not met: %v", err)
	}
	if err := create(elsewhere, "many", nil, "a", "b"); err != nil {
		t.Errorf("in another workspace: %v", err)
	}
	if _, err := typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "more"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.CoreV1().ConfigMaps("more").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("in another namespace: %v", err)
	}

	// A policy of the same name in another workspace is another one.
	validates(t, elsewhere, "count", onConfigMaps+"validations: [{expression: 'object.metadata.name.startsWith(\"x\")', message: must begin with x}]", "validationActions: [Deny]")
	refusesProbe(t, elsewhere, nil, "must begin with x")
	if err := create(typed, "not-x", nil, "a"); err != nil {
		t.Errorf("by the policy of another workspace: %v", err)
	}
	if err := create(elsewhere, "x-many", nil, "a", "b"); err != nil {
		t.Errorf("by the policy of another workspace: %v", err)
	}
	if err := typed.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), "count", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a policy without binding is not applied", func(context.Context) (bool, error) {
		return create(typed, uniqueName("many"), nil, "a", "b") == nil, nil
	})
}

type warningsOf struct{ all *[]string }

// HandleWarningHeader implements rest.WarningHandler.
func (w warningsOf) HandleWarningHeader(_ int, _, message string) { *w.all = append(*w.all, message) }

func TestPolicies_Warn(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	config := s.Workspace(path)
	var warnings []string
	config.WarningHandler = warningsOf{&warnings}
	typed, _ := annex.Clients(t, config)
	validates(t, typed, "warn", onConfigMaps+"validations: [{expression: 'false', message: think again}]", "validationActions: [Warn, Audit]")
	eventually(t, "there is a warning", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().ConfigMaps("default").Create(ctx, aConfigMap(uniqueName("warned"), nil), metav1.CreateOptions{})
		return len(warnings) > 0, err
	})
	if want := "Validation failed for ValidatingAdmissionPolicy 'warn' with binding 'warn': think again"; warnings[0] != want {
		t.Errorf("got %q, want %q", warnings[0], want)
	}
}

func TestPolicies_Parameters(t *testing.T) {
	s := start(t)
	path, other := workspace(t, s), workspace(t, s)
	typed, dynamic := annex.Clients(t, s.Workspace(path))
	elsewhere, _ := annex.Clients(t, s.Workspace(other))
	limit := func(client kubernetes.Interface, name, most string) {
		t.Helper()
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system", Labels: map[string]string{"limits": "yes"}}, Data: map[string]string{"most": most}}
		if _, err := client.CoreV1().ConfigMaps("kube-system").Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	const spec = onConfigMaps + `
paramKind: {apiVersion: v1, kind: ConfigMap}
validations: [{expression: "size(object.data) <= int(params.data.most)", messageExpression: "'at most ' + params.data.most"}]
`
	validates(t, typed, "named", spec, `
validationActions: [Deny]
paramRef: {name: limits, namespace: kube-system, parameterNotFoundAction: Deny}
matchResources: {objectSelector: {matchLabels: {by: name}}}`)
	validates(t, typed, "selected", spec, `
validationActions: [Deny]
paramRef: {selector: {matchLabels: {limits: "yes"}}, namespace: kube-system, parameterNotFoundAction: Allow}
matchResources: {objectSelector: {matchLabels: {by: labels}}}`)
	// The parameters of another workspace do not count.
	limit(elsewhere, "limits", "5")
	named, selected := map[string]string{"by": "name"}, map[string]string{"by": "labels"}
	refusesProbe(t, typed, named, "no params found for policy binding with `Deny` parameterNotFoundAction")
	create := func(labels map[string]string) error {
		_, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(uniqueName("counted"), labels), metav1.CreateOptions{})
		return err
	}
	if err := create(selected); err != nil {
		t.Errorf("without parameters: %v", err)
	}
	limit(typed, "limits", "0")
	// They are effective at once.
	for by, labels := range map[string]map[string]string{"name": named, "labels": selected} {
		if by == "labels" {
			refusesProbe(t, typed, labels, "at most 0")
		}
		if err := create(labels); err == nil || !strings.Contains(err.Error(), "at most 0") {
			t.Errorf("parameters by %s: %v", by, err)
		}
	}

	// Parameters may be custom resources.
	apply(t, s.Workspace(path), gadgetCRD)
	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := dynamic.Resource(gadgets).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	validates(t, typed, "custom", onConfigMaps+`
paramKind: {apiVersion: example.org/v1, kind: Gadget}
validations: [{expression: "params.spec.wheels != 3", messageExpression: "params.kind + ' ' + params.metadata.name"}]`, `
validationActions: [Deny]
paramRef: {name: cart, parameterNotFoundAction: Allow}
matchResources: {objectSelector: {matchLabels: {by: gadget}}}`)
	gadget := parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: cart, namespace: default}\nspec: {wheels: 3}")
	if _, err := dynamic.Resource(gadgets).Namespace("default").Create(t.Context(), gadget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	refusesProbe(t, typed, map[string]string{"by": "gadget"}, "Gadget cart")

	// A kind that does not exist is a fault of the policy.
	validates(t, typed, "unknown", onConfigMaps+`
paramKind: {apiVersion: example.org/v1, kind: Nothing}
validations: [{expression: "true"}]`, `
validationActions: [Deny]
paramRef: {name: cart, parameterNotFoundAction: Allow}
matchResources: {objectSelector: {matchLabels: {by: nothing}}}`)
	refusesProbe(t, typed, map[string]string{"by": "nothing"}, "failed to find resource referenced by paramKind: 'example.org/v1, Kind=Nothing'")
}

func TestPolicies_Mutating(t *testing.T) {
	s := start(t)
	path, other := workspace(t, s), workspace(t, s)
	typed, dynamic := annex.Clients(t, s.Workspace(path))
	elsewhere, _ := annex.Clients(t, s.Workspace(other))
	apply(t, s.Workspace(path), gadgetCRD)
	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := dynamic.Resource(gadgets).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	mutates := func(name, spec string) {
		t.Helper()
		policy := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := yaml.UnmarshalStrict([]byte(spec), &policy.Spec); err != nil {
			t.Fatal(err)
		}
		if _, err := typed.AdmissionregistrationV1().MutatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name}}
		if _, err := typed.AdmissionregistrationV1().MutatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	mutates("labels", onConfigMaps+`
reinvocationPolicy: IfNeeded
mutations:
- {patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {"team": namespaceObject.metadata.name}}}'}}
- {patchType: JSONPatch, jsonPatch: {expression: '[JSONPatch{op: "add", path: "/data/added", value: "yes"}]'}}`)
	mutates("gadgets", `
matchConstraints: {resourceRules: [{apiGroups: [example.org], apiVersions: [v1], operations: [CREATE], resources: [gadgets]}]}
reinvocationPolicy: Never
mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{spec: Object.spec{parts: [Object.spec.parts{name: "bell", size: 1}]}}'}}]`)
	var got *corev1.ConfigMap
	eventually(t, "the policy is applied", func(ctx context.Context) (bool, error) {
		var err error
		got, err = typed.CoreV1().ConfigMaps("default").Create(ctx, aConfigMap(uniqueName("mutated"), map[string]string{"own": "label"}), metav1.CreateOptions{})
		return err == nil && got.Labels["team"] != "", err
	})
	if got.Labels["team"] != "default" || got.Labels["own"] != "label" || got.Data["added"] != "yes" || got.Data["a"] != "b" {
		t.Errorf("got labels %v, data %v", got.Labels, got.Data)
	}
	if untouched, err := elsewhere.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap("mutated", nil), metav1.CreateOptions{}); err != nil || len(untouched.Labels) > 0 {
		t.Errorf("in another workspace: %v, %v", untouched, err)
	}
	// Lists of custom resources are merged by the keys that their schema names.
	var created *unstructured.Unstructured
	eventually(t, "the policy for gadgets is applied", func(ctx context.Context) (bool, error) {
		gadget := parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: "+uniqueName("cart")+", namespace: default}\nspec: {parts: [{name: seat, size: 2}]}")
		var err error
		created, err = dynamic.Resource(gadgets).Namespace("default").Create(ctx, gadget, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		parts, _, _ := unstructured.NestedSlice(created.Object, "spec", "parts")
		return len(parts) == 2, nil
	})
}

// The server reads parameters for a policy; so whoever writes policies must be allowed to read them.
func TestPolicies_ParametersNeedRights(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admin, _ := annex.Clients(t, s.Workspace(path))
	apply(t, s.Workspace(path), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: policies}
rules:
- {apiGroups: [admissionregistration.k8s.io], resources: ["*"], verbs: ["*"]}
- {apiGroups: [""], resources: [configmaps], verbs: ["*"]}
- {nonResourceURLs: [/], verbs: [access]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: policies}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: policies}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]`)
	typed, _ := annex.Clients(t, s.As(token(bob), path))
	eventually(t, "bob may write policies", func(ctx context.Context) (bool, error) {
		_, err := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	create := func(client kubernetes.Interface, name, kind string) error {
		p := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := yaml.UnmarshalStrict([]byte(onConfigMaps+"paramKind: {apiVersion: v1, kind: "+kind+"}\nvalidations: [{expression: 'false', messageExpression: 'string(params.data.password)'}]"), &p.Spec); err != nil {
			t.Fatal(err)
		}
		_, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(t.Context(), p, metav1.CreateOptions{})
		return err
	}
	bind := func(client kubernetes.Interface, name, policy string) error {
		b := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			ParamRef: &admissionregistrationv1.ParamRef{Name: "secret", Namespace: "kube-system", ParameterNotFoundAction: ptr.To(admissionregistrationv1.AllowAction)},
		}}
		_, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(t.Context(), b, metav1.CreateOptions{})
		return err
	}
	if err := create(typed, "configmaps", "ConfigMap"); err != nil {
		t.Errorf("bob may read ConfigMaps: %v", err)
	}
	if err := create(typed, "secrets", "Secret"); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.paramKind") {
		t.Errorf("bob may not read Secrets: %v", err)
	}
	if err := create(admin, "secrets", "Secret"); err != nil {
		t.Error(err)
	}
	for _, policy := range []string{"secrets", "missing"} {
		if err := bind(typed, "by-bob", policy); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.paramRef") {
			t.Errorf("bob may not bind %s to a Secret: %v", policy, err)
		}
	}
	if err := bind(typed, "configmaps", "configmaps"); err != nil {
		t.Error(err)
	}
	if err := bind(admin, "secrets", "secrets"); err != nil {
		t.Error(err)
	}
}

func TestPolicies_BadInput(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admin := asAdmin(t, s)
	const (
		invalid  = metav1.StatusReasonInvalid
		policyAt = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
		bindAt   = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
		mutateAt = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
		hookAt   = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
	)
	validating := func(spec string) string {
		return "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: bad}\nspec:\n  " + strings.ReplaceAll(onConfigMaps+spec, "\n", "\n  ")
	}
	mutating := func(spec string) string { return strings.Replace(validating(spec), "Validating", "Mutating", 1) }
	hook := func(fields string) string {
		return "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: bad}\nwebhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], " + fields + "}]"
	}
	const url = "clientConfig: {url: 'https://hooks.example.com'}"
	for name, c := range map[string]struct {
		at, document string
		fields       []string
	}{
		"a policy that decides nothing":     {policyAt, validating(""), []string{"spec.validations", "spec.auditAnnotations"}},
		"an expression that does not parse": {policyAt, validating("validations: [{expression: 'object.'}]"), []string{"spec.validations[0].expression"}},
		"an expression that is no bool":     {policyAt, validating("validations: [{expression: '1'}]"), []string{"spec.validations[0].expression"}},
		"an unknown variable":               {policyAt, validating("validations: [{expression: 'variables.a'}]"), []string{"spec.validations[0].expression"}},
		"parameters without a kind":         {policyAt, validating("validations: [{expression: 'params.a'}]"), []string{"spec.validations[0].expression"}},
		"a variable with no identifier":     {policyAt, validating("variables: [{name: 'a-b', expression: 'true'}]\nvalidations: [{expression: 'true'}]"), []string{"spec.variables[0].name"}},
		"a match condition without a name":  {policyAt, validating("matchConditions: [{expression: 'true'}]\nvalidations: [{expression: 'true'}]"), []string{"spec.matchConditions[0].name"}},
		"a reason that does not exist":      {policyAt, validating("validations: [{expression: 'true', reason: Because}]"), []string{"spec.validations[0].reason"}},
		"no mutation":                       {mutateAt, mutating(""), []string{"spec.mutations"}},
		"a patch of the wrong type":         {mutateAt, mutating("mutations: [{patchType: JSONPatch, jsonPatch: {expression: '\"a\"'}}]"), []string{"spec.mutations[0].jsonPatch.expression"}},
		"a binding without actions":         {bindAt, "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: bad}\nspec: {policyName: a}", []string{"spec.validationActions"}},
		"a binding that denies and warns":   {bindAt, "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: bad}\nspec: {policyName: a, validationActions: [Deny, Warn]}", []string{"spec.validationActions"}},
		"a webhook without address":         {hookAt, hook("clientConfig: {}"), []string{"webhooks[0].clientConfig"}},
		"a webhook without TLS":             {hookAt, hook("clientConfig: {url: 'http://hooks.example.com'}"), []string{"webhooks[0].clientConfig.url"}},
		"a webhook that waits too long":     {hookAt, hook(url + ", timeoutSeconds: 31"), []string{"webhooks[0].timeoutSeconds"}},
		"a rule with a wildcard and more":   {hookAt, hook(url + ", rules: [{operations: ['*', CREATE], apiGroups: [''], apiVersions: [v1], resources: ['*/*', pods]}]"), []string{"webhooks[0].rules[0].operations", "webhooks[0].rules[0].resources"}},
		"a condition that does not compile": {hookAt, hook(url + ", matchConditions: [{name: a, expression: nothing}]"), []string{"webhooks[0].matchConditions[0].expression"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := request{method: http.MethodPost, path: "/clusters/" + path + c.at, body: toJSON(t, c.document)}
			want{422, invalid, c.fields, ""}.check(t, admin.in(t).send(r))
		})
	}
}

// The bundle of Gateway API installs, and its policy does its work: it refuses older definitions.
func TestPolicies_OfGatewayAPI(t *testing.T) {
	project := projects.Named(t, "gateway-api")
	project.Files = []string{"config/crd/standard/gateway.networking.k8s.io_gateway*.yaml"}
	s := start(t)
	path := workspace(t, s)
	config := s.Workspace(path)
	typed, dynamic := annex.Clients(t, config)
	bundle, err := os.ReadFile(filepath.Join(project.Folder(t), "config", "crd", "standard", "gateway.networking.k8s.io_vap_safeupgrades.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(bundle), "\n---\n") {
		switch obj := parse(t, document); obj.GetKind() {
		case "ValidatingAdmissionPolicy":
			_, err = dynamic.Resource(policies).Create(t.Context(), obj, metav1.CreateOptions{})
		case "ValidatingAdmissionPolicyBinding":
			_, err = dynamic.Resource(policyBindings).Create(t.Context(), obj, metav1.CreateOptions{})
		default:
			t.Errorf("unexpected kind %s", obj.GetKind())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	all := project.Definitions(t)
	older := all[0].DeepCopy()
	older.Annotations["gateway.networking.k8s.io/bundle-version"] = "v1.3.0"
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(older)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "an older definition is refused", func(ctx context.Context) (bool, error) {
		_, err := dynamic.Resource(crds).Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "safe-upgrades.gateway.networking.k8s.io"), nil
	})
	for _, definition := range all {
		definition.Annotations["gateway.networking.k8s.io/bundle-version"] = "v1.5.0"
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(definition)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dynamic.Resource(crds).Create(t.Context(), &unstructured.Unstructured{Object: content}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		waitCondition(t, dynamic.Resource(crds), definition.Name, "Established", "True", "")
	}

	// A policy for updates of definitions does not mean the status that the server writes.
	validates(t, typed, "frozen", `
matchConstraints: {resourceRules: [{apiGroups: [apiextensions.k8s.io], apiVersions: [v1], operations: [UPDATE], resources: [customresourcedefinitions]}]}
validations: [{expression: "false", message: definitions do not change}]`, "validationActions: [Deny]")
	eventually(t, "definitions do not change", func(ctx context.Context) (bool, error) {
		_, err := dynamic.Resource(crds).Patch(ctx, all[0].Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "definitions do not change"), nil
	})
	apply(t, config, gadgetCRD)
	waitCondition(t, dynamic.Resource(crds), "gadgets.example.org", "Established", "True", "")
}

// What an expression may cost is bounded, whatever the workspace. Who asks that failures are ignored is not refused.
func TestPolicies_CostTooMuch(t *testing.T) {
	s := start(t)
	typed, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	loop := "true"
	for depth := range 8 {
		loop = fmt.Sprintf("variables.ten.all(x%d, %s)", depth, loop)
	}
	spec := onConfigMaps + `
variables: [{name: ten, expression: "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"}]
matchConditions: [{name: labeled, expression: "has(object.metadata.labels) && 'POLICY' in object.metadata.labels"}]
validations: [{expression: "` + loop + `"}]
`
	validates(t, typed, "strict", strings.ReplaceAll(spec, "POLICY", "strict"), "validationActions: [Deny]")
	validates(t, typed, "lax", strings.ReplaceAll(spec, "POLICY", "lax")+"failurePolicy: Ignore\n", "validationActions: [Deny]")
	refusesProbe(t, typed, map[string]string{"strict": ""}, "cost limit exceeded")
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap("lax", map[string]string{"lax": ""}), metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}
