package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

// Every resource that can be claimed is served at the endpoint, to read and to write, and shown there, with the verbs of the claim.
func TestClaims_AllResources(t *testing.T) {
	type made struct{ gvr, namespace, document string }
	claimable := []made{
		{"v1/namespaces", "", "apiVersion: v1\nkind: Namespace\nmetadata: {name: made}"},
		{"v1/configmaps", "default", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}"},
		{"v1/secrets", "default", "apiVersion: v1\nkind: Secret\nmetadata: {name: made}"},
		{"v1/serviceaccounts", "default", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: made}"},
		{"v1/resourcequotas", "default", "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: made}"},
		{"v1/events", "default", "apiVersion: v1\nkind: Event\nmetadata: {name: made, namespace: default}\ninvolvedObject: {kind: ConfigMap, name: a, namespace: default}"},
		{"rbac.authorization.k8s.io/v1/roles", "default", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: made}\nrules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get]}]"},
		{"rbac.authorization.k8s.io/v1/rolebindings", "default", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: made}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: made}"},
		{"rbac.authorization.k8s.io/v1/clusterroles", "", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: made}\nrules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get]}]"},
		{"rbac.authorization.k8s.io/v1/clusterrolebindings", "", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: made}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: made}"},
		{"coordination.k8s.io/v1/leases", "default", "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: made}"},
		{"apiextensions.k8s.io/v1/customresourcedefinitions", "", gadgetCRD},
		{"admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: made}"},
		{"admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "", "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: made}"},
		{"admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", "", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: made}\nspec: {policyName: none, validationActions: [Deny]}"},
		{"apis.kcp.io/v1alpha2/apiexports", "", "apiVersion: apis.kcp.io/v1alpha2\nkind: APIExport\nmetadata: {name: made}\nspec: {}"},
		{"apis.kcp.io/v1alpha1/apiresourceschemas", "", doorSchema},
		{"apis.kcp.io/v1alpha1/apiconversions", "", doorConversion},
		{"core.kcp.io/v1alpha1/logicalclusters", "", ""},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := newRequest(t, key, "made", "example.com/serving")
	request.TypeMeta = metav1.TypeMeta{APIVersion: "certificates.k8s.io/v1", Kind: "CertificateSigningRequest"}
	document, err := yaml.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	claimable = append(claimable, made{"certificates.k8s.io/v1/certificatesigningrequests", "", string(document)})
	resourceOf := func(m made) schema.GroupVersionResource {
		parts := strings.Split(m.gvr, "/")
		if len(parts) == 2 {
			parts = append([]string{""}, parts...)
		}
		return schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}
	}
	var claims, answers []string
	for _, m := range claimable {
		gvr := resourceOf(m)
		claims = append(claims, claim(gvr.Group, gvr.Resource, "get, list, watch, create, delete", ""))
		answers = append(answers, accept(gvr.Group, gvr.Resource, anyVerb, all))
	}
	c := newClaiming(t, claims...)
	k, other := c.consumer(answers...), c.consumer()
	for _, m := range claimable {
		gvr := resourceOf(m)
		t.Run(gvr.Resource, func(t *testing.T) {
			in := c.at(k.cluster).Resource(gvr).Namespace(m.namespace)
			name := "cluster"
			if m.document != "" {
				obj := parse(t, m.document)
				name = obj.GetName()
				if _, err := in.Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				_, err := c.at(other.cluster).Resource(gvr).Namespace(m.namespace).Create(t.Context(), obj, metav1.CreateOptions{})
				wantForbidden(t, "create where nothing is accepted", err)
			}
			_, err := in.Get(t.Context(), name, metav1.GetOptions{})
			wantDone(t, "get", err)
			eventually(t, "it shows over all consumers", func(ctx context.Context) (bool, error) {
				list, err := c.at("*").Resource(gvr).List(ctx, metav1.ListOptions{})
				if err != nil {
					return false, err
				}
				found := false
				for _, obj := range list.Items {
					if obj.GetAnnotations()["kcp.io/cluster"] != k.cluster {
						return false, fmt.Errorf("%s of %s shows", obj.GetName(), obj.GetAnnotations()["kcp.io/cluster"])
					}
					found = found || obj.GetName() == name
				}
				return found, nil
			})
			_, err = in.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`), metav1.PatchOptions{})
			wantForbidden(t, "a verb that is not claimed", err)
			if m.namespace != "" {
				wantDone(t, "delete", in.Delete(t.Context(), name, metav1.DeleteOptions{}))
			}
		})
	}
	t.Run("the path of a consumer", func(t *testing.T) {
		list, err := c.at("*").Resource(clusters).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 || list.Items[0].GetAnnotations()["kcp.io/path"] != k.path {
			t.Errorf("%v, %v", list, err)
		}
	})
	t.Run("events of both groups", func(t *testing.T) {
		create(t, k.Resource(coreEvents).Namespace("default"), parse(t, claimable[5].document))
		for _, gvr := range []schema.GroupVersionResource{coreEvents, newEvents} {
			c.shows(gvr, k.cluster+"/default/made")
			_, err := c.at(k.cluster).Resource(gvr).Namespace("default").Get(t.Context(), "made", metav1.GetOptions{})
			wantDone(t, "get", err)
			_, err = c.at(other.cluster).Resource(gvr).Namespace("default").Get(t.Context(), "made", metav1.GetOptions{})
			wantForbidden(t, "get where nothing is accepted", err)
		}
	})
	t.Run("what is rendered", func(t *testing.T) {
		got, err := c.at(k.cluster).Resource(configMaps).Namespace("default").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		if err != nil || got.GetAnnotations()["kcp.io/cluster"] != k.cluster {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("no tokens", func(t *testing.T) {
		typed, _ := annex.Clients(t, c.config(k.cluster))
		_, err := typed.CoreV1().RESTClient().Post().Namespace("default").Resource("serviceaccounts").Name("default").SubResource("token").
			Body([]byte(`{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1"}`)).DoRaw(t.Context())
		wantNotFound(t, "a token of a ServiceAccount", err)
	})
	t.Run("discovery", func(t *testing.T) {
		typed, _ := annex.Clients(t, c.config("*"))
		_, lists, err := typed.Discovery().ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]string{}
		for _, list := range lists {
			for _, r := range list.APIResources {
				verbs := slices.Clone(r.Verbs)
				slices.Sort(verbs)
				shown[list.GroupVersion+"/"+r.Name] = strings.Join(verbs, " ")
			}
		}
		for _, m := range claimable {
			if got := shown[m.gvr]; got != "create delete get list watch" {
				t.Errorf("%s has %q", m.gvr, got)
			}
		}
		for name, want := range map[string]string{
			"example.com/v1/widgets": "create delete deletecollection get list patch update watch", "apis.kcp.io/v1alpha1/apibindings": "get list watch",
			"events.k8s.io/v1/events": "create delete get list watch", "v1/limitranges": "", "v1/serviceaccounts/token": "", "v1/namespaces/finalize": "",
		} {
			if shown[name] != want {
				t.Errorf("%s has %q, want %q", name, shown[name], want)
			}
		}
		paths, err := typed.Discovery().OpenAPIV3().Paths()
		if err != nil || paths["api/v1"] == nil || paths["apis/example.com/v1"] == nil || paths["apis/authorization.k8s.io/v1"] != nil {
			t.Errorf("OpenAPI has %v, %v", paths, err)
		}
	})
}

// Reviews are answered in the workspace of the consumer.
func TestClaims_Reviews(t *testing.T) {
	c := newClaiming(t, claim("authorization.k8s.io", "subjectaccessreviews", "create", ""), claim("authentication.k8s.io", "tokenreviews", "create", ""))
	yes, no := c.consumer(accept("authorization.k8s.io", "subjectaccessreviews", anyVerb, all), accept("authentication.k8s.io", "tokenreviews", "create", all)), c.consumer()
	admit(t, c.s, yes.path, bob)
	ask := func(target, user string) (bool, error) {
		obj, err := c.at(target).Resource(accessReview).Create(t.Context(), parse(t, fmt.Sprintf(`{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview",
			"spec":{"user":%q,"resourceAttributes":{"verb":"get","resource":"secrets","namespace":"default"}}}`, user)), metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		allowed, _, _ := unstructured.NestedBool(obj.Object, "status", "allowed")
		return allowed, nil
	}
	for user, want := range map[string]bool{bob: true, stranger: false, provider: false} {
		if allowed, err := ask(yes.cluster, user); err != nil || allowed != want {
			t.Errorf("%s: %v, %v", user, allowed, err)
		}
	}
	_, err := ask(no.cluster, bob)
	wantForbidden(t, "a consumer that has not accepted", err)
	if _, err := ask("*", bob); err == nil {
		t.Error("a review over all consumers is answered")
	}
	reviews := schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "tokenreviews"}
	obj, err := c.at(yes.cluster).Resource(reviews).Create(t.Context(), parse(t, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"no-token"}}`), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if authenticated, _, _ := unstructured.NestedBool(obj.Object, "status", "authenticated"); authenticated {
		t.Error("a token of nobody is accepted")
	}
}

// Server-side apply creates, and needs the verb for it; a merge patch never does.
func TestClaims_Patches(t *testing.T) {
	c := newClaiming(t, claim("", "configmaps", anyVerb, ""), claim("", "secrets", anyVerb, ""))
	k := c.consumer(accept("", "configmaps", anyVerb, "matchLabels: {a: b}"), accept("", "secrets", "get, patch", all))
	patch := func(gvr schema.GroupVersionResource, kind types.PatchType, name string) (*unstructured.Unstructured, error) {
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":%q}}`, map[bool]string{true: "Secret", false: "ConfigMap"}[gvr == secrets], name)
		return c.at(k.cluster).Resource(gvr).Namespace("default").Patch(t.Context(), name, kind, []byte(body), metav1.PatchOptions{FieldManager: "provider"})
	}
	got, err := patch(configMaps, types.ApplyPatchType, "made")
	if err != nil || got.GetLabels()["a"] != "b" {
		t.Errorf("applied: %v, %v", got, err)
	}
	_, err = patch(secrets, types.ApplyPatchType, "made")
	wantForbidden(t, "apply without create", err)
	_, err = patch(configMaps, types.MergePatchType, "absent")
	wantNotFound(t, "merge patch of nothing", err)
	k.make(secrets, "there", "")
	_, err = patch(secrets, types.ApplyPatchType, "there")
	wantDone(t, "apply of what exists", err)
}

// What other exports offer is claimed by its identity, and only that.
func TestClaims_ByIdentity(t *testing.T) {
	root := annexIdentity(t, start(t), "root", "tenancy.kcp.io")
	offering := newClaiming(t)
	identity := annexIdentity(t, start(t), offering.path, "widgets")
	c := newClaiming(t)
	put(t, c.s.Workspace(c.path), exports, fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec: {resources: [], permissionClaims: [{group: example.com, resource: widgets, verbs: ["*"], identityHash: %s}, {group: tenancy.kcp.io, resource: workspaces, verbs: ["*"], identityHash: %s}]}`, identity, root))
	accepted := func(identity string) string {
		return fmt.Sprintf(`{group: example.com, resource: widgets, identityHash: %s, verbs: ["*"], state: Accepted, selector: {matchAll: true}}`, identity)
	}
	workspacesOf := fmt.Sprintf(`{group: tenancy.kcp.io, resource: workspaces, identityHash: %s, verbs: ["*"], state: Accepted, selector: {matchAll: true}}`, root)
	list, err := c.at("*").Resource(widgets).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("where nobody has bound: %v, %v", list, err)
	}
	yes, no := c.consumer(accepted(identity), workspacesOf), c.consumer(accepted("wrong"))
	for _, k := range []*consumer{yes, no} {
		apply(t, c.s.Workspace(k.path), strings.Replace(binding("widgets", offering.path, "widgets"), "metadata: {name: widgets}", "metadata: {name: offered}", 1))
		waitCondition(t, k.Resource(bindings), "offered", "Ready", "True", "")
		k.make(widgets, "a", "")
	}
	c.shows(widgets, yes.cluster+"/default/a")
	in := c.at(yes.cluster).Resource(widgets).Namespace("default")
	_, err = in.Create(t.Context(), parse(t, documentOf(widgets, "made", "")), metav1.CreateOptions{})
	wantDone(t, "create", err)
	_, err = c.at(no.cluster).Resource(widgets).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
	wantForbidden(t, "another identity", err)
	ws := parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: made}\nspec: {type: {name: universal, path: root}}")
	_, err = c.at(yes.cluster).Resource(workspaces).Create(t.Context(), ws, metav1.CreateOptions{})
	wantDone(t, "a workspace in the consumer's", err)
	c.shows(workspaces, yes.cluster+"//made")
	_, err = c.at(no.cluster).Resource(workspaces).Create(t.Context(), ws, metav1.CreateOptions{})
	wantForbidden(t, "a workspace where that is not accepted", err)
}

func annexIdentity(t *testing.T, s *annex.Server, path, export string) string {
	t.Helper()
	_, client := annex.Clients(t, s.Workspace(path))
	got, err := client.Resource(exports).Get(t.Context(), export, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hash, _, _ := unstructured.NestedString(got.Object, "status", "identityHash")
	return hash
}

// Bindings to the export show always; others, and writes, only by a claim, with which nobody accepts claims for oneself.
func TestClaims_Bindings(t *testing.T) {
	c := newClaiming(t, claim("apis.kcp.io", "apibindings", anyVerb, ""), claim("", "secrets", anyVerb, ""))
	yes, no := c.consumer(accept("apis.kcp.io", "apibindings", anyVerb, all)), c.consumer()
	own := func(k *consumer) string { return k.cluster + "//widgets" }
	eventually(t, "bindings show", func(ctx context.Context) (bool, error) {
		found, err := c.everywhere(ctx, bindings)
		return len(found) > 2 && slices.Contains(found, own(yes)) && slices.Contains(found, own(no)) &&
			!slices.ContainsFunc(found, func(name string) bool { return strings.HasPrefix(name, no.cluster) && name != own(no) }), err
	})
	list, err := c.at(no.cluster).Resource(bindings).List(t.Context(), metav1.ListOptions{})
	if err != nil || !slices.Equal(shownNames(list.Items), []string{own(no)}) {
		t.Errorf("without a claim: %v, %v", list, err)
	}
	wantForbidden(t, "delete without a claim", c.at(no.cluster).Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}))
	accepting := []byte(`{"spec":{"permissionClaims":[{"group":"","resource":"secrets","verbs":["*"],"state":"Accepted","selector":{"matchAll":true}}]}}`)
	_, err = c.at(yes.cluster).Resource(bindings).Patch(t.Context(), "widgets", types.MergePatchType, accepting, metav1.PatchOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot accept permission claims") {
		t.Errorf("a provider accepts a claim: %v", err)
	}
	_, err = c.at(yes.cluster).Resource(bindings).Patch(t.Context(), "widgets", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	wantDone(t, "a label", err)
	// Binding something else needs the permission of the provider itself.
	_, err = c.at(yes.cluster).Resource(bindings).Create(t.Context(), parse(t, binding("more", "root", "shards.core.kcp.io")), metav1.CreateOptions{})
	wantForbidden(t, "a binding to what the provider may not bind", err)
}

// A provider gains no more than what was accepted, and nobody gains anything by a provider.
func TestClaims_Attacks(t *testing.T) {
	c := newClaiming(t, claim("", "configmaps", anyVerb, ""), claim("", "secrets", anyVerb, ""))
	k := c.consumer(accept("", "configmaps", anyVerb, all), reject("secrets"))
	typed, _ := annex.Clients(t, c.s.Workspace(k.path))
	if _, err := typed.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: "token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"}}, Type: corev1.SecretTypeServiceAccountToken}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := c.at(k.cluster).Resource(secrets).Namespace("default").Get(t.Context(), "token", metav1.GetOptions{})
	wantForbidden(t, "a token where secrets are rejected", err)
	c.shows(secrets)
	_, err = c.at(k.cluster).Resource(clusterRoles).Create(t.Context(), parse(t, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}"), metav1.CreateOptions{})
	wantNotFound(t, "a role by a claim on ConfigMaps", err)
	// A ConfigMap that pretends to be in another workspace stays where it is.
	_, victim := newWorkspace(t, c.s, "root", uniqueName("victim"))
	obj := parse(t, documentOf(configMaps, "forged", ""))
	obj.SetAnnotations(map[string]string{"kcp.io/cluster": victim})
	if made, err := c.at(k.cluster).Resource(configMaps).Namespace("default").Create(t.Context(), obj, metav1.CreateOptions{}); err == nil && made.GetAnnotations()["kcp.io/cluster"] != k.cluster {
		t.Errorf("made in %v", made.GetAnnotations())
	}
	// What is claimed does not count at the endpoint of somebody else's export.
	other := newClaiming(t)
	_, err = other.at(k.cluster).Resource(configMaps).Namespace("default").List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "at another endpoint", err)
	// Switched off, a consumer shows nothing.
	k.make(configMaps, "a", "")
	c.shows(configMaps, k.cluster+"/default/a", k.cluster+"/default/forged")
	annotate := func(value string) {
		t.Helper()
		_, master := annex.Clients(t, c.s.As("operator-token", k.path))
		if _, err := master.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"annotations":{"core.kcp.io/inactive":%s}}}`, value), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	annotate(`"true"`)
	c.shows(configMaps)
	_, err = c.at(k.cluster).Resource(configMaps).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
	wantForbidden(t, "in a consumer that is switched off", err)
	annotate("null")
	c.shows(configMaps, k.cluster+"/default/a", k.cluster+"/default/forged")
}
