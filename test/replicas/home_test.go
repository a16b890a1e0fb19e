package replicas

import (
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

// A user who asks all servers at once has one home.
func TestReplicas_MakeOneHome(t *testing.T) {
	var all sync.WaitGroup
	var uids [replicas]types.UID
	var errs [replicas]error
	for i, replica := range theWorld.replicas {
		_, untyped := annex.Clients(t, replica.For(t).As("alice", "root"))
		all.Go(func() {
			home, err := untyped.Resource(tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces")).Get(t.Context(), "~", metav1.GetOptions{})
			if errs[i] = err; err == nil {
				uids[i] = home.GetUID()
			}
		})
	}
	all.Wait()
	for i := range replicas {
		if errs[i] != nil || uids[i] == "" || uids[i] != uids[0] {
			t.Errorf("server %d: UID %q, %v; server 0: %q", i, uids[i], errs[i], uids[0])
		}
	}
	typed := theWorld.as(t, replicas-1, "alice", "user:alice")
	if _, err := typed.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}
