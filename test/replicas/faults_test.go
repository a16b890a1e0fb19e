package replicas

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/test/framework/annex"
)

// takeover is how long controllers may stand still when their leader is killed: until its lease is over and another server has
// noticed that.
const takeover = 20 * time.Second

// checkTakeover fails the test unless a lease is over, and noticed to be, within takeover. How long the controllers stood still
// in a test says something about the machine, too.
func (w *world) checkTakeover(t *testing.T, at int) {
	t.Helper()
	lease, err := w.leases(t, at).Get(t.Context(), leaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)) * time.Second; d <= 0 || d > takeover*3/4 {
		t.Errorf("the lease of the controllers is for %s, too long for others to take over within %s", d, takeover)
	}
}

// followLease watches the lease of the controllers at a replica. The function that it returns waits for the next server that
// holds the lease, and tells whether the one before gave it up; else its time was over.
func (w *world) followLease(t *testing.T, at int) (givenUp func() bool) {
	t.Helper()
	events, err := w.leases(t, at).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + leaseName})
	if err != nil {
		t.Fatal(err)
	}
	return func() bool {
		t.Helper()
		defer events.Stop()
		before, given := "", false
		for limit := time.After(patience); ; {
			select {
			case event, open := <-events.ResultChan():
				lease, is := event.Object.(*coordinationv1.Lease)
				if !open || !is {
					t.Fatalf("the watch of the lease shows %s %v", event.Type, event.Object)
				}
				switch holder := ptr.Deref(lease.Spec.HolderIdentity, ""); {
				case holder == "":
					given = true
				case before == "" && !given:
					before = holder
				case holder != before:
					return given
				}
			case <-limit:
				t.Fatal("nobody takes the lease of the controllers")
			}
		}
	}
}

func older(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := strconv.ParseUint(a, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	y, err := strconv.ParseUint(b, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x <= y
}

// becomesReady asks for a workspace at one of the replicas and returns how long it took to become Ready. Only retriable
// answers are tried again.
func (w *world) becomesReady(t *testing.T, name string, at ...int) time.Duration {
	t.Helper()
	c, began := w.in(t, "root"), time.Now()
	created, turn := false, 0
	annex.Eventually(t, func(ctx context.Context) error {
		turn++
		client := c.untyped[at[turn%len(at)]].Resource(workspaces)
		if !created {
			_, err := client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": workspaces.GroupVersion().String(), "kind": "Workspace", "metadata": map[string]any{"name": name},
				"spec": map[string]any{"type": map[string]any{"name": "universal", "path": "root"}},
			}}, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				if !retriable(err) {
					t.Errorf("creating workspace %s: %v", name, err)
				}
				return err
			}
			created = true
		}
		got, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			if !retriable(err) {
				t.Errorf("reading workspace %s: %v", name, err)
			}
			return err
		}
		if phase, _, _ := unstructured.NestedString(got.Object, "status", "phase"); phase != "Ready" {
			return fmt.Errorf("workspace %s is in phase %q", name, phase)
		}
		return nil
	})
	return time.Since(began)
}

// healthy waits until all replicas can be asked again.
func (w *world) healthy(t *testing.T) {
	t.Helper()
	for i := range replicas {
		began := time.Now()
		annex.Eventually(t, func(context.Context) error {
			if code := annex.Status(t, impatient(w.replicas[i].For(t).Config(annex.ContextBase)), "GET", "/readyz"); code != 200 {
				return fmt.Errorf("server %d answers %d when asked whether it is ready", i, code)
			}
			return nil
		})
		if took := time.Since(began); took > time.Second {
			t.Logf("server %d was ready again after %s", i, took.Round(time.Millisecond))
		}
	}
}

func TestReplicas_LeaderIsKilled(t *testing.T) {
	w := theWorld
	path := w.newWorkspace(t, 0, "leaderless")
	l := w.startLoad(t, path, "leaderless")
	l.more(50)
	leader := w.leader(t, 0)
	w.replicas[leader].Kill()
	took := w.becomesReady(t, "after-the-leader", (leader+1)%replicas, (leader+2)%replicas)
	t.Logf("the leader, server %d, was killed; a workspace asked for then was Ready after %s", leader, took.Round(time.Millisecond))
	w.checkTakeover(t, (leader+1)%replicas)
	l.more(50)
	w.restart(t, leader)
	l.more(50)
	l.end()
}

func TestReplicas_MembersOfEtcdAreKilled(t *testing.T) {
	w := theWorld
	path := w.newWorkspace(t, 1, "etcd")
	l := w.startLoad(t, path, "etcd")
	l.more(50)
	// Not the member that one of the replicas relies on alone.
	const first, second = 0, 1
	for _, victim := range []struct {
		what           string
		number, leader int
	}{{"a member of etcd", first, second}, {"the leader of etcd", second, second}} {
		if err := w.etcd.lead(t.Context(), victim.leader); err != nil {
			t.Fatal(err)
		}
		w.etcd.kill(victim.number)
		l.more(100)
		took := w.becomesReady(t, fmt.Sprintf("after-etcd-%d", victim.number), 0, 1)
		t.Logf("%s, %d, was killed; a workspace asked for then was Ready after %s", victim.what, victim.number, took.Round(time.Millisecond))
		if err := w.etcd.start(victim.number); err != nil {
			t.Fatal(err)
		}
		w.healthy(t)
	}
	l.more(50)
	l.end()
}

// The leader of etcd stands still, as on a machine that swaps: nobody closes its connections.
func TestReplicas_LeaderOfEtcdStandsStill(t *testing.T) {
	const leader, still = 1, 30 * time.Second
	w := theWorld
	path := w.newWorkspace(t, 0, "still")
	l := w.startLoad(t, path, "still")
	l.more(50)
	if err := w.etcd.lead(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	over := time.After(still)
	if err := w.etcd.pause(leader); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() {
		if err := w.etcd.resume(leader); err != nil {
			t.Error(err)
		}
	})
	defer resume()
	took := w.becomesReady(t, "while-etcd-stands-still", 0, 2)
	t.Logf("a workspace asked for while the leader of etcd stood still was Ready after %s", took.Round(time.Millisecond))
	l.more(100)
	<-over
	resume()
	w.healthy(t)
	l.more(50)
	l.end()
}

// A minority of etcd is cut off, with one replica that knows no other member.
func TestReplicas_MinorityIsCutOff(t *testing.T) {
	w := theWorld
	path := w.newWorkspace(t, 0, "minority")
	at := w.in(t, path)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "alice"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "alice"}},
	}
	if _, err := at.typed[0].RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	alice := w.as(t, lonely, "alice", path)
	if _, err := alice.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	l := w.startLoad(t, path, "minority")
	l.more(50)
	// The one that is cut off leads: the worst case.
	if err := w.etcd.lead(t.Context(), lonely); err != nil {
		t.Fatal(err)
	}

	w.etcd.network.cut(lonely)
	// The others go on.
	l.more(100)
	took := w.becomesReady(t, "in-the-majority", 0, 1)
	t.Logf("a workspace asked for while a minority is cut off was Ready after %s", took.Round(time.Millisecond))
	annex.Eventually(t, func(ctx context.Context) error {
		err := at.typed[0].RbacV1().ClusterRoleBindings().Delete(ctx, "alice", metav1.DeleteOptions{})
		if err != nil && !retriable(err) && !apierrors.IsNotFound(err) {
			t.Errorf("revoking: %v", err)
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	// The lonely one says so, and shows nothing old.
	annex.Eventually(t, func(context.Context) error {
		if code := annex.Status(t, impatient(w.replicas[lonely].For(t).Config(annex.ContextBase)), "GET", "/readyz"); code == 200 {
			return fmt.Errorf("server %d is ready without a majority", lonely)
		}
		return nil
	})
	secrets, err := alice.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if err == nil {
		t.Errorf("server %d shows alice %d secrets after her permission was revoked", lonely, len(secrets.Items))
	} else if !retriable(err) && !apierrors.IsForbidden(err) {
		t.Errorf("server %d: %v", lonely, err)
	}

	w.etcd.network.heal(lonely)
	began := time.Now()
	w.healthy(t)
	t.Logf("the minority was back after %s", time.Since(began).Round(time.Millisecond))
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := alice.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("server %d lets alice in: %w", lonely, err)
		}
		return nil
	})
	w.becomesReady(t, "after-the-minority", lonely)
	l.more(50)
	l.end()
}
