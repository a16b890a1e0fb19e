package clientset

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// asked is a server that notes what it is asked.
type asked struct {
	*httptest.Server
	mu    sync.Mutex
	paths []string
}

func newAsked(t *testing.T) *asked {
	t.Helper()
	a := &asked{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.paths = append(a.paths, req.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	}))
	t.Cleanup(a.Close)
	return a
}

func TestCluster_ReachesOneCluster(t *testing.T) {
	server := newAsked(t)
	var want []string
	for host, prefix := range map[string]string{
		"":                                   "",
		"/":                                  "",
		"/clusters/root:provider":            "",
		"/services/apiexport/a/b":            "/services/apiexport/a/b",
		"/services/apiexport/a/b/clusters/*": "/services/apiexport/a/b",
	} {
		clusters, err := NewForConfig(&rest.Config{Host: server.URL + host})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []logicalcluster.Path{"root:org:team", "2f8kq1z0c7a9x3bd"} {
			if err := clusters.Cluster(path).TenancyV1alpha1().Workspaces().Delete(t.Context(), "w", metav1.DeleteOptions{}); err != nil {
				t.Errorf("%s at %s: %v", path, host, err)
			}
			want = append(want, prefix+"/clusters/"+string(path)+"/apis/tenancy.kcp.io/v1alpha1/workspaces/w")
		}
		// Nothing is sent that does not name one cluster.
		for _, path := range []logicalcluster.Path{"", "*", "../root", "root/org", "root::org", "root?x", ":root"} {
			if err := clusters.Cluster(path).TenancyV1alpha1().Workspaces().Delete(t.Context(), "w", metav1.DeleteOptions{}); err == nil {
				t.Errorf("a request for %q is sent", path)
			}
		}
	}
	if got := server.paths; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("the server was asked %v, want %v", got, want)
	}
}

// Any generated clientset can be used.
func TestFor_OtherClientsets(t *testing.T) {
	server := newAsked(t)
	clusters, err := For(&rest.Config{Host: server.URL}, kubernetes.NewForConfigAndClient)
	if err != nil {
		t.Fatal(err)
	}
	if err := clusters.Cluster("root:org").CoreV1().ConfigMaps("default").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/clusters/root:org/api/v1/namespaces/default/configmaps/a"}; !slices.Equal(server.paths, want) {
		t.Errorf("the server was asked %v", server.paths)
	}
	if _, err := For(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAFile: "missing"}}, kubernetes.NewForConfigAndClient); err == nil {
		t.Error("a config that cannot be used is accepted")
	}
}

func TestFakes_KeepClustersApart(t *testing.T) {
	in := func(cluster, typ string) *tenancyv1alpha1.Workspace {
		w := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "same", Annotations: map[string]string{logicalcluster.AnnotationKey: cluster}}}
		w.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.WorkspaceTypeName(typ)}
		return w
	}
	fakes, err := NewFake(in("one", "a"), in("two", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for cluster, typ := range map[logicalcluster.Path]tenancyv1alpha1.WorkspaceTypeName{"one": "a", "two": "b"} {
		got, err := fakes.Cluster(cluster).TenancyV1alpha1().Workspaces().Get(t.Context(), "same", metav1.GetOptions{})
		if err != nil || got.Spec.Type.Name != typ {
			t.Errorf("in %s: %v, %v", cluster, got, err)
		}
	}
	if err := fakes.Cluster("one").TenancyV1alpha1().Workspaces().Delete(t.Context(), "same", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := fakes.Cluster("one").TenancyV1alpha1().Workspaces().Get(t.Context(), "same", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what was deleted: %v", err)
	}
	if _, err := fakes.Cluster("two").TenancyV1alpha1().Workspaces().Get(t.Context(), "same", metav1.GetOptions{}); err != nil {
		t.Errorf("the same name in another cluster: %v", err)
	}
	if _, err := fakes.Cluster("three").TenancyV1alpha1().Workspaces().Get(t.Context(), "same", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("in a cluster without objects: %v", err)
	}
	for _, cluster := range []string{"", "*"} {
		if _, err := NewFake(in(cluster, "a")); err == nil {
			t.Errorf("an object of %q is accepted", cluster)
		}
	}
}
