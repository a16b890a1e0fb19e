package names

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

func schemes() map[string]Scheme {
	return map[string]Scheme{
		"per namespace": {Agent: "a", Naming: config.Naming{Layout: config.NamespacePerNamespace, NamespacePrefix: "sync-"}},
		"per consumer":  {Agent: "a", Naming: config.Naming{Layout: config.NamespacePerConsumer, NamespacePrefix: "a-prefix-of-20-chars"}},
		"single":        {Agent: "a", Naming: config.Naming{Layout: config.SingleNamespace, Namespace: "all"}},
		"another agent": {Agent: "b", Naming: config.Naming{Layout: config.NamespacePerNamespace, NamespacePrefix: "sync-"}},
	}
}

// Whatever consumers call their objects, no two share a counterpart, and all names are valid.
func TestScheme_NamesNeverCollide(t *testing.T) {
	long := strings.Repeat("x", 63)
	var keys []client.Key
	for _, cluster := range []string{"2f8kq1z0c7a9x3bd", "2f8kq1z0c7a9x3be", "c", "c-a", "root", long} {
		for _, namespace := range []string{"", "a", "a-b", "default", "c", long, long[1:] + "y"} {
			for _, name := range []string{"a", "b-a", "b", "c.d", "c-d", strings.Repeat("x.", 126) + "x", strings.Repeat("x.", 126) + "y", "0"} {
				keys = append(keys, client.Key{Cluster: logicalcluster.Name(cluster), Namespace: namespace, Name: name})
			}
		}
	}
	used := map[string]string{}
	for what, s := range schemes() {
		for _, key := range keys {
			// Layouts of one agent do not exist at the same time.
			for _, namespaced := range []bool{true, false} {
				namespace, name := "", s.Name(key, namespaced)
				if namespaced {
					namespace = s.Namespace(key)
					if messages := validation.IsDNS1123Label(namespace); len(messages) > 0 {
						t.Fatalf("%s: the namespace %q of %s: %v", what, namespace, key, messages)
					}
				}
				if messages := validation.IsDNS1123Subdomain(name); len(messages) > 0 || (name != key.Name && len(name) > 63) {
					t.Fatalf("%s: the name %q of %s: %v", what, name, key, messages)
				}
				full := fmt.Sprintf("%s|%s/%s", map[bool]string{true: what, false: s.Agent}[namespaced], namespace, name)
				if other, taken := used[full]; taken && other != key.String() {
					t.Fatalf("%s is of %s and of %s", full, other, key)
				}
				used[full] = key.String()
			}
		}
	}
	s, other := schemes()["per namespace"], schemes()["another agent"]
	if s.Namespace(keys[0]) == other.Namespace(keys[0]) {
		t.Error("two agents share a namespace")
	}
}

// A restart, and another release, must find what was made: names do not change.
func TestScheme_NamesStay(t *testing.T) {
	key := client.Key{Cluster: "2f8kq1z0c7a9x3bd", Namespace: "default", Name: "web"}
	got := map[string]string{}
	for what, s := range schemes() {
		got[what] = s.Namespace(key) + "/" + s.Name(key, true) + " " + s.Name(key, false)
	}
	for what, want := range wantNames {
		if got[what] != want {
			t.Errorf("%s: %s, want %s", what, got[what], want)
		}
	}
}

func TestScheme_KnowsWhatItMade(t *testing.T) {
	s, other := schemes()["per namespace"], schemes()["another agent"]
	of := &metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u", Generation: 7, Annotations: map[string]string{logicalcluster.AnnotationKey: "c"}}
	key := client.Key{Cluster: "c", Namespace: "default", Name: "web"}
	made := &metav1.ObjectMeta{Name: "web", Namespace: s.Namespace(key)}
	if s.IsCounterpart(made, key) {
		t.Error("an object without marks is taken for a counterpart")
	}
	s.Mark(made, of)
	if !s.IsCounterpart(made, key) || other.IsCounterpart(made, key) || UID(made) != "u" || Generation(made) != 7 {
		t.Errorf("marks: %v", made)
	}
	for _, wrong := range []client.Key{{Cluster: "d", Namespace: "default", Name: "web"}, {Cluster: "c", Namespace: "x", Name: "web"}, {Cluster: "c", Namespace: "default", Name: "x"}} {
		if s.IsCounterpart(made, wrong) {
			t.Errorf("it is a counterpart of %s", wrong)
		}
	}
	unlabeled := made.DeepCopy()
	unlabeled.Labels = nil
	if s.IsCounterpart(unlabeled, key) || (Scheme{}).IsCounterpart(unlabeled, key) {
		t.Error("annotations alone are enough")
	}
	copied := &metav1.ObjectMeta{}
	source := s.SourceValue("secrets", key)
	s.MarkCopy(copied, s.ForValue("certificates.cert-manager.io", key), source)
	if !s.IsCopy(copied, source) || s.IsCopy(copied, s.SourceValue("configmaps", key)) || s.IsCopy(copied, "") || other.IsCopy(copied, source) || s.IsCopy(&metav1.ObjectMeta{}, "") {
		t.Errorf("marks of a copy: %v", copied)
	}
	namespace := &metav1.ObjectMeta{}
	s.MarkNamespace(namespace, key)
	if !s.OwnsNamespace(namespace, key) || s.OwnsNamespace(namespace, client.Key{Cluster: "c", Namespace: "other"}) || other.OwnsNamespace(namespace, key) || s.OwnsNamespace(&metav1.ObjectMeta{}, client.Key{}) {
		t.Errorf("marks of a namespace: %v", namespace)
	}
}

var wantNames = map[string]string{
	"per namespace": "sync-2f8kq1z0c7a9x3bd-default-5y7uxsoje5vdv2q3/web web-4c7es6n23c632msl",
	"per consumer":  "a-prefix-of-20-chars2f8kq1z0c7a9x3bd-3aksrf2oniiw5fi7/web-4c7es6n23c632msl web-4c7es6n23c632msl",
	"single":        "all/web-4c7es6n23c632msl web-4c7es6n23c632msl",
	"another agent": "sync-2f8kq1z0c7a9x3bd-default-u2w5bh33rro2glx5/web web-aikvz5zkrwd2ssm7",
}
