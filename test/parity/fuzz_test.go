package parity

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsfuzzer "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/fuzzer"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"
)

// seeds is how many objects of each kind are made.
const seeds = 20

// words are what most strings of the objects are, so that some of the objects are valid.
var words = []string{
	"", "a", "example.com", "example.com/a", "v1", "cpu", "memory", "pods", "get", "*", "Container", "Pod", "Opaque", "ConfigMap", "User", "Role", "ClusterRole",
	"rbac.authorization.k8s.io", "Normal", "BestEffort", "In", "Bad Value",
}

// filled are the kinds, each with its collection.
var filled = map[string]func() metav1.Object{
	"/api/v1/namespaces/$ns/configmaps":                                  func() metav1.Object { return &corev1.ConfigMap{} },
	"/api/v1/namespaces/$ns/secrets":                                     func() metav1.Object { return &corev1.Secret{} },
	"/api/v1/namespaces/$ns/serviceaccounts":                             func() metav1.Object { return &corev1.ServiceAccount{} },
	"/api/v1/namespaces/$ns/events":                                      func() metav1.Object { return &corev1.Event{} },
	"/api/v1/namespaces/$ns/limitranges":                                 func() metav1.Object { return &corev1.LimitRange{} },
	"/api/v1/namespaces/$ns/resourcequotas":                              func() metav1.Object { return &corev1.ResourceQuota{} },
	"/apis/events.k8s.io/v1/namespaces/$ns/events":                       func() metav1.Object { return &eventsv1.Event{} },
	"/apis/coordination.k8s.io/v1/namespaces/$ns/leases":                 func() metav1.Object { return &coordinationv1.Lease{} },
	"/apis/rbac.authorization.k8s.io/v1/namespaces/$ns/roles":            func() metav1.Object { return &rbacv1.Role{} },
	"/apis/rbac.authorization.k8s.io/v1/namespaces/$ns/rolebindings":     func() metav1.Object { return &rbacv1.RoleBinding{} },
	"/apis/rbac.authorization.k8s.io/v1/clusterroles?dryRun=All":         func() metav1.Object { return &rbacv1.ClusterRole{} },
	"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?dryRun=All":  func() metav1.Object { return &rbacv1.ClusterRoleBinding{} },
	"/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All": func() metav1.Object { return &apiextensions.CustomResourceDefinition{} },
	"/api/v1/namespaces?dryRun=All":                                      func() metav1.Object { return &corev1.Namespace{} },
}

// TestFuzz creates objects with random content on both servers.
func TestFuzz(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("objects", func(t *testing.T) {
		for path, newObject := range filled {
			shared := "$ns" // quotas would stop each other
			if strings.Contains(path, "$ns") && !strings.HasSuffix(path, "/resourcequotas") {
				shared = newID()
				w.makeNamespace(t, shared)
			}
			for seed := range int64(seeds) {
				name := fmt.Sprintf("fuzz/%T [%d]", newObject(), seed)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					object := newObject()
					filler(seed).Fill(object)
					// What the metadata may be is for the corpus; here it must not hide what is wrong with the rest.
					object.SetName(fmt.Sprint("a", seed))
					object.SetNamespace("")
					object.SetGenerateName("")
					object.SetUID("")
					object.SetResourceVersion("")
					object.SetManagedFields(nil)
					object.SetOwnerReferences(nil)
					object.SetFinalizers(nil)
					object.SetLabels(nil)
					object.SetAnnotations(nil)
					w.report(t, name, w.run(t, Case{Name: name, Steps: []Step{{Do: "POST " + strings.ReplaceAll(path, "$ns", shared), Body: plain(t, object), Unordered: true}}}))
				})
			}
		}
	})
}

// filler fills objects with random content, the same for the same seed.
func filler(seed int64) *randfill.Filler {
	text := func(serializer.CodecFactory) []any {
		return []any{func(s *string, c randfill.Continue) { *s = words[c.Intn(len(words))] }}
	}
	scheme := runtime.NewScheme()
	funcs := fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, apiextensionsfuzzer.Funcs, text)
	return fuzzer.FuzzerFor(funcs, rand.NewSource(seed), serializer.NewCodecFactory(scheme)).NilChance(.3).NumElements(1, 2)
}

// plain returns an object as JSON; a dollar in it begins no variable.
func plain(t *testing.T, object metav1.Object) string {
	t.Helper()
	var sent any = object
	if crd, ok := object.(*apiextensions.CustomResourceDefinition); ok {
		v1 := &apiextensionsv1.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_apiextensions_CustomResourceDefinition_To_v1_CustomResourceDefinition(crd, v1, nil); err != nil {
			t.Fatal(err)
		}
		sent = v1
	}
	data, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "$", "$$")
}
