package resilience

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

func TestFull_WritesFailClearlyAndTheRestWorks(t *testing.T) {
	const quota, size = 16 << 20, 500 << 10
	etcd := annex.StartSmallEtcd(t, quota)
	server := annex.Start(t, "--etcd-servers", etcd.URL())
	typed, _ := annex.Clients(t, impatient(server.Workspace("root")))
	configMaps := typed.CoreV1().ConfigMaps("default")
	var err error
	for i := 0; i < 2*quota/size && err == nil; i++ {
		_, err = configMaps.Create(t.Context(), configMap(fmt.Sprintf("big-%d", i), strings.Repeat("x", size)), metav1.CreateOptions{})
	}
	full := func(err error) {
		t.Helper()
		if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "the storage is full") {
			t.Fatalf("error = %v", err)
		}
	}
	full(err)
	for range 5 {
		_, err := configMaps.Create(t.Context(), configMap("small", "x"), metav1.CreateOptions{})
		full(err)
	}
	if _, err := configMaps.Get(t.Context(), "big-0", metav1.GetOptions{}); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := configMaps.Delete(t.Context(), "big-0", metav1.DeleteOptions{}); err != nil {
		t.Errorf("deleting: %v", err)
	}
	if code := annex.Status(t, server.Config(annex.ContextBase), http.MethodGet, "/livez"); code != http.StatusOK {
		t.Errorf("/livez: %d", code)
	}
	log, err := os.ReadFile(server.Dir() + ".log")
	if err != nil {
		t.Fatal(err)
	}
	// Once a minute.
	if n := strings.Count(string(log), "etcd is full"); n == 0 || n > 3 {
		t.Errorf("the log says %d times that etcd is full:\n%s", n, log)
	}
}
