package informer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestLister_IsOfOneCluster(t *testing.T) {
	i := New(configMaps, Options{})
	s, end := follow(t, i, "one")
	defer end()
	s.list(configMap("a", "same", "1"), configMap("b", "same", "2"), configMap("b", "other", "3"))
	if err := i.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	lister := NewLister[*corev1.ConfigMap](i)
	if all, err := lister.List(labels.Everything()); err != nil || len(all) != 3 {
		t.Errorf("in all clusters: %v, %v", all, err)
	}
	for cluster, want := range map[logicalcluster.Name]int{"a": 1, "b": 2, "c": 0} {
		if found, err := lister.Cluster(cluster).List(labels.Everything()); err != nil || len(found) != want {
			t.Errorf("in %s: %v, %v", cluster, found, err)
		}
		got, err := lister.Cluster(cluster).Namespace("default").Get("same")
		if want == 0 && !apierrors.IsNotFound(err) || want > 0 && (err != nil || logicalcluster.From(got) != cluster) {
			t.Errorf("same in %s: %v, %v", cluster, got, err)
		}
	}
	if found, err := lister.Cluster("b").Namespace("other").List(labels.Everything()); err != nil || len(found) > 0 {
		t.Errorf("in another namespace: %v, %v", found, err)
	}
	if _, err := lister.Cluster("").List(labels.Everything()); err == nil {
		t.Error("the objects of no cluster are listed")
	}
	if _, err := lister.Cluster("").Namespace("default").Get("same"); !apierrors.IsNotFound(err) {
		t.Errorf("same in no cluster: %v", err)
	}
	if _, err := NewLister[*corev1.Secret](i).Cluster("a").Namespace("default").Get("same"); err == nil {
		t.Error("a ConfigMap is a Secret")
	}
	if _, err := NewLister[*corev1.Secret](i).List(labels.Everything()); err == nil {
		t.Error("ConfigMaps are Secrets")
	}
}
