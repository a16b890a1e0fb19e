package workspaceaccess

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/clientcmd"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const uid = types.UID("8d0b7a58-0001")

// issued are tokens that say for whom they are.
type issued struct{ count int }

func (i *issued) Issue(_ context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, now time.Time, life time.Duration) (string, time.Time, error) {
	i.count++
	return fmt.Sprintf("token-%d of %s in %s", i.count, account.UID, cluster), now.Add(life), nil
}

type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, ok := p[path]
	return name, ok, nil
}

// world is a WorkspaceAccess for root:team, which is the cluster c1.
type world struct {
	t      *testing.T
	annex  *clienttest.Fake
	host   *fake.Clientset
	clock  *testingclock.FakePassiveClock
	tokens *issued
	bundle *clienttest.Bundle
	paths  paths
	r      *reconciler
	key    client.Key
}

// newWorld has the WorkspaceAccess in the namespace team-a of the host, or of the workspace c0 if onHost is false.
func newWorld(t *testing.T, onHost bool, change ...func(*annexv1alpha1.WorkspaceAccess)) *world {
	t.Helper()
	w := &world{
		t: t, clock: testingclock.NewFakePassiveClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)), tokens: &issued{}, bundle: clienttest.NewBundle("PEM"),
		paths: paths{"root": "root", "root:team": "c1"}, key: client.Key{Cluster: "c0", Namespace: "team-a", Name: "x"},
		host: fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", UID: "ns-1"}}),
	}
	access := &annexv1alpha1.WorkspaceAccess{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team-a", Name: "x", UID: uid, Generation: 1, Finalizers: []string{annexv1alpha1.WorkspaceAccessFinalizer},
		Annotations: map[string]string{annexv1alpha1.WorkspaceAccessClusterAnnotationKey: "c1"},
	}}
	access.Spec.Workspace.Path, access.Spec.Role.ClusterRole = "root:team", "admin"
	access.Spec.Format, access.Spec.ExpirationSeconds = annexv1alpha1.AccessFormatKubeconfig, ptr.To[int64](3600)
	if onHost {
		w.key.Cluster = "root"
		access.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] = "ns-1"
	}
	for _, c := range change {
		c(access)
	}
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
	lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	w.annex = clienttest.NewFake(clienttest.In(w.key.Cluster, access), clienttest.In("c1", lc))
	w.r = newReconciler(Config{
		Config: multicluster.Config{Client: w.annex, Live: w.annex, Resolver: w.paths}, Tokens: w.tokens, External: func() string { return "https://annex" },
		CABundle: w.bundle.Watch, Host: w.host.CoreV1(), Workspace: "root", Clock: w.clock,
	})
	return w
}

// step reconciles until nothing changes, and returns the object, nil if it is gone, and when to look again.
func (w *world) step() (*annexv1alpha1.WorkspaceAccess, time.Duration) {
	w.t.Helper()
	for range 5 {
		before := len(w.annex.Writes())
		result, err := w.r.reconcile(w.t.Context(), w.key)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(w.annex.Writes()) == before {
			return w.access(), result.RequeueAfter
		}
	}
	w.t.Fatalf("it never settles: %v", w.annex.Writes())
	return nil, 0
}

func (w *world) access() *annexv1alpha1.WorkspaceAccess {
	w.t.Helper()
	access, err := client.Find[annexv1alpha1.WorkspaceAccess](w.t.Context(), w.annex, accesses, w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return access
}

// secret returns the Secret, on the host or in the workspace; nil if there is none.
func (w *world) secret() *corev1.Secret {
	w.t.Helper()
	secret, err := w.host.CoreV1().Secrets("team-a").Get(w.t.Context(), "x", metav1.GetOptions{})
	if w.key.Cluster != "root" {
		secret, err = client.Find[corev1.Secret](w.t.Context(), w.annex, secrets, w.key)
		if secret == nil {
			return nil
		}
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// made returns what there is in cluster.
func (w *world) made(cluster logicalcluster.Name) (*corev1.ServiceAccount, *rbacv1.ClusterRoleBinding) {
	w.t.Helper()
	name := "workspaceaccess-" + string(uid)
	account, err := client.Find[corev1.ServiceAccount](w.t.Context(), w.annex, accounts, client.Key{Cluster: cluster, Namespace: "kube-system", Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	binding, err := client.Find[rbacv1.ClusterRoleBinding](w.t.Context(), w.annex, bindings, client.Key{Cluster: cluster, Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return account, binding
}

// wantNothing checks that nobody has access any more.
func (w *world) wantNothing(cluster logicalcluster.Name) {
	w.t.Helper()
	if account, binding := w.made(cluster); account != nil || binding != nil {
		w.t.Errorf("left in %s: %v, %v", cluster, account, binding)
	}
	if secret := w.secret(); secret != nil {
		w.t.Errorf("left: %v", secret)
	}
}

func (w *world) want(access *annexv1alpha1.WorkspaceAccess, condition conditionsv1alpha1.ConditionType, reason string) {
	w.t.Helper()
	if got := conditionsv1alpha1.GetReason(access, condition); got != reason || conditionsv1alpha1.IsTrue(access, conditionsv1alpha1.ReadyCondition) != (reason == "") {
		w.t.Errorf("%s has reason %q, want %q: %+v", condition, got, reason, access.Status)
	}
}

func TestReconcile_Gives(t *testing.T) {
	for name, onHost := range map[string]bool{"on the host": true, "in a workspace": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, onHost)
			access, next := w.step()
			w.want(access, conditionsv1alpha1.ReadyCondition, "")
			account, binding := w.made("c1")
			if account == nil || binding == nil || binding.RoleRef.Name != "admin" || !binds(binding, account) || len(binding.Subjects) != 1 {
				t.Fatalf("made %v, %v", account, binding)
			}
			s := access.Status
			if s.SecretName != "x" || s.ClusterName != "c1" || s.URL != "https://annex/clusters/root:team" || s.ServiceAccount.UID != account.UID || s.ObservedGeneration != 1 {
				t.Errorf("status %+v", s)
			}
			if !s.ExpirationTime.Equal(ptr.To(metav1.NewTime(w.clock.Now().Add(time.Hour)))) || next != recheck {
				t.Errorf("expires %v, next look after %v", s.ExpirationTime, next)
			}
			secret := w.secret()
			if !marked(secret, access) || len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != uid {
				t.Errorf("Secret %v", secret.ObjectMeta)
			}
			config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["kubeconfig"])
			if err != nil || config.Host != s.URL || config.BearerToken != fmt.Sprintf("token-1 of %s in c1", account.UID) || string(config.CAData) != "PEM" {
				t.Errorf("kubeconfig %v, %v", config, err)
			}
			if w.tokens.count != 1 {
				t.Errorf("%d tokens were issued", w.tokens.count)
			}
		})
	}
}

func TestReconcile_Formats(t *testing.T) {
	w := newWorld(t, true, func(a *annexv1alpha1.WorkspaceAccess) { a.Spec.Format = annexv1alpha1.AccessFormatArgoCD })
	w.step()
	secret := w.secret()
	var config struct {
		BearerToken     string
		TLSClientConfig struct {
			Insecure bool
			CAData   []byte
		}
	}
	if err := json.Unmarshal(secret.Data["config"], &config); err != nil || !strings.HasPrefix(config.BearerToken, "token-1") || string(config.TLSClientConfig.CAData) != "PEM" || config.TLSClientConfig.Insecure {
		t.Errorf("config %+v, %v", config, err)
	}
	if string(secret.Data["server"]) != "https://annex/clusters/root:team" || string(secret.Data["name"]) != "root:team" || secret.Labels[argoLabel] != "cluster" {
		t.Errorf("Secret %v", secret)
	}
	// What others have added stays. What was for another format goes.
	secret.Data["project"], secret.Labels["env"] = []byte("web"), "prod"
	if _, err := w.host.CoreV1().Secrets("team-a").Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	access := w.access().DeepCopy()
	access.Spec.Format = annexv1alpha1.AccessFormatFlux
	if _, err := w.annex.Update(t.Context(), accesses, "root", access); err != nil {
		t.Fatal(err)
	}
	w.step()
	secret = w.secret()
	if _, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"]); err != nil {
		t.Error(err)
	}
	if len(secret.Data) != 2 || string(secret.Data["project"]) != "web" || secret.Labels["env"] != "prod" || secret.Labels[argoLabel] != "" {
		t.Errorf("Secret %v", secret)
	}
}

func TestReconcile_Renews(t *testing.T) {
	w := newWorld(t, true)
	w.step()
	first := string(w.secret().Data["kubeconfig"])
	w.clock.SetTime(w.clock.Now().Add(29*time.Minute + 50*time.Second))
	_, next := w.step()
	if string(w.secret().Data["kubeconfig"]) != first || next != 10*time.Second {
		t.Errorf("renewed too early, or looked at too late: after %v", next)
	}
	w.clock.SetTime(w.clock.Now().Add(10 * time.Second))
	access, _ := w.step()
	if string(w.secret().Data["kubeconfig"]) == first || w.tokens.count != 2 {
		t.Error("not renewed")
	}
	if left := access.Status.ExpirationTime.Sub(w.clock.Now()); left != time.Hour {
		t.Errorf("it expires in %v", left)
	}
	// Somebody has changed the Secret, or deleted it.
	changed := w.secret()
	changed.Data["kubeconfig"] = []byte("broken")
	if _, err := w.host.CoreV1().Secrets("team-a").Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if w.step(); !strings.Contains(string(w.secret().Data["kubeconfig"]), "token-3") {
		t.Error("the Secret is not repaired")
	}
	if err := w.host.CoreV1().Secrets("team-a").Delete(t.Context(), "x", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if w.step(); !strings.Contains(string(w.secret().Data["kubeconfig"]), "token-4") {
		t.Error("the Secret is not written again")
	}
	// The certificates change.
	w.bundle.Set("NEW")
	w.step()
	if config, err := clientcmd.RESTConfigFromKubeConfig(w.secret().Data["kubeconfig"]); err != nil || string(config.CAData) != "NEW" {
		t.Errorf("%v, %v", config, err)
	}
}

func TestReconcile_DeletionRevokes(t *testing.T) {
	for _, onHost := range []bool{true, false} {
		w := newWorld(t, onHost)
		w.step()
		if err := w.annex.Delete(t.Context(), accesses, w.key, nil); err != nil {
			t.Fatal(err)
		}
		if access, _ := w.step(); access != nil {
			t.Errorf("it stays: %v", access)
		}
		w.wantNothing("c1")
	}
}

func TestReconcile_RevokedInTheWorkspace(t *testing.T) {
	for name, revoke := range map[string]func(w *world) error{
		"the ServiceAccount is deleted": func(w *world) error {
			account, _ := w.made("c1")
			return w.annex.Delete(w.t.Context(), accounts, client.KeyOf(account), nil)
		},
		"the binding is deleted": func(w *world) error {
			_, binding := w.made("c1")
			return w.annex.Delete(w.t.Context(), bindings, client.KeyOf(binding), nil)
		},
		"the subject is removed": func(w *world) error {
			_, binding := w.made("c1")
			binding = binding.DeepCopy()
			binding.Subjects = nil
			_, err := w.annex.Update(w.t.Context(), bindings, "c1", binding)
			return err
		},
		"somebody makes another one of that name": func(w *world) error {
			account, _ := w.made("c1")
			again := account.DeepCopy()
			again.ResourceVersion, again.UID = "", ""
			if err := w.annex.Delete(w.t.Context(), accounts, client.KeyOf(account), nil); err != nil {
				return err
			}
			_, err := w.annex.Create(w.t.Context(), accounts, "c1", again)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			w.step()
			if err := revoke(w); err != nil {
				t.Fatal(err)
			}
			access, _ := w.step()
			w.want(access, annexv1alpha1.AccessGranted, annexv1alpha1.RevokedReason)
			w.wantNothing("c1")
			if access, _ = w.step(); access.Status.ServiceAccount != nil {
				t.Errorf("status %+v", access.Status)
			}
			// Somebody with permissions changes the spec, which admission checks.
			access = access.DeepCopy()
			access.Spec.ExpirationSeconds = ptr.To[int64](1800)
			if _, err := w.annex.Update(t.Context(), accesses, "root", access); err != nil {
				t.Fatal(err)
			}
			access, _ = w.step()
			w.want(access, annexv1alpha1.AccessGranted, "")
		})
	}
}

// A path is no identity: whoever has it now has accepted nothing.
func TestReconcile_WorkspaceChanges(t *testing.T) {
	w := newWorld(t, true)
	w.step()
	w.paths["root:team"] = "c2"
	access, _ := w.step()
	w.want(access, annexv1alpha1.WorkspaceValid, annexv1alpha1.WorkspaceChangedReason)
	w.wantNothing("c1")
	w.wantNothing("c2")

	delete(w.paths, "root:team")
	access, next := w.step()
	w.want(access, annexv1alpha1.WorkspaceValid, annexv1alpha1.WorkspaceNotFoundReason)
	if next < soon || next > latest {
		t.Errorf("next look after %v", next)
	}

	// Accepted anew for another cluster, which admission writes: nothing stays in the first.
	w = newWorld(t, true)
	w.step()
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
	lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	if _, err := w.annex.Create(t.Context(), clusters, "c2", lc); err != nil {
		t.Fatal(err)
	}
	w.paths["root:team"] = "c2"
	accepted := w.access().DeepCopy()
	accepted.Annotations[annexv1alpha1.WorkspaceAccessClusterAnnotationKey] = "c2"
	accepted.Spec.ExpirationSeconds = ptr.To[int64](1800)
	if _, err := w.annex.Update(t.Context(), accesses, "root", accepted); err != nil {
		t.Fatal(err)
	}
	access, _ = w.step()
	w.want(access, conditionsv1alpha1.ReadyCondition, "")
	if account, binding := w.made("c1"); account != nil || binding != nil {
		t.Error("access to the first workspace is left")
	}
	if account, binding := w.made("c2"); account == nil || binding == nil || access.Status.ClusterName != "c2" {
		t.Error("no access to the second workspace")
	}
}

func TestReconcile_WithoutPermissionOfTheAuthor(t *testing.T) {
	w := newWorld(t, true, func(a *annexv1alpha1.WorkspaceAccess) {
		delete(a.Annotations, annexv1alpha1.WorkspaceAccessClusterAnnotationKey)
	})
	access, _ := w.step()
	w.want(access, annexv1alpha1.WorkspaceValid, annexv1alpha1.WorkspaceChangedReason)
	w.wantNothing("c1")
}

func TestReconcile_WaitsForTheWorkspace(t *testing.T) {
	w := newWorld(t, true)
	lc, err := client.Find[corev1alpha1.LogicalCluster](t.Context(), w.annex, clusters, client.Key{Cluster: "c1", Name: corev1alpha1.LogicalClusterName})
	if err != nil {
		t.Fatal(err)
	}
	lc = lc.DeepCopy()
	lc.Status.Phase = corev1alpha1.LogicalClusterPhaseInitializing
	if _, err := w.annex.Update(t.Context(), clusters, "c1", lc); err != nil {
		t.Fatal(err)
	}
	access, next := w.step()
	w.want(access, annexv1alpha1.WorkspaceValid, annexv1alpha1.WorkspaceNotReadyReason)
	w.wantNothing("c1")
	if next != soon {
		t.Errorf("next look after %v", next)
	}
}

// What it did not make is neither overwritten nor deleted.
func TestReconcile_Conflicts(t *testing.T) {
	for name, labels := range map[string]map[string]string{"of nobody": nil, "of an earlier one": {annexv1alpha1.WorkspaceAccessUIDLabelKey: "other"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			mine := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "x", Labels: labels}, Data: map[string][]byte{"mine": []byte("1")}}
			if _, err := w.host.CoreV1().Secrets("team-a").Create(t.Context(), mine, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			access, _ := w.step()
			w.want(access, annexv1alpha1.SecretWritten, annexv1alpha1.ConflictReason)
			if access.Status.SecretName != "" || w.tokens.count != 0 {
				t.Errorf("status %+v, %d tokens", access.Status, w.tokens.count)
			}
			if err := w.annex.Delete(t.Context(), accesses, w.key, nil); err != nil {
				t.Fatal(err)
			}
			w.step()
			if secret := w.secret(); secret == nil || len(secret.Data) != 1 {
				t.Errorf("Secret %v", secret)
			}
		})
	}
	w := newWorld(t, true)
	theirs := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "workspaceaccess-" + string(uid)}}
	if _, err := w.annex.Create(t.Context(), accounts, "c1", theirs); err != nil {
		t.Fatal(err)
	}
	access, _ := w.step()
	w.want(access, annexv1alpha1.AccessGranted, annexv1alpha1.ConflictReason)
	if _, binding := w.made("c1"); binding != nil || w.secret() != nil {
		t.Error("a role is bound to the ServiceAccount of somebody else")
	}
}

// Without its namespace on the host, nobody has access.
func TestReconcile_NamespaceOfTheHost(t *testing.T) {
	w := newWorld(t, true)
	w.step()
	again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", UID: "ns-2"}}
	if _, err := w.host.CoreV1().Namespaces().Update(t.Context(), again, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if access, _ := w.step(); access != nil {
		t.Errorf("it stays: %v", access)
	}
	w.wantNothing("c1")

	// In a workspace of a tenant, the annotation leads to no host.
	w = newWorld(t, false, func(a *annexv1alpha1.WorkspaceAccess) {
		a.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] = "ns-1"
	})
	access, _ := w.step()
	w.want(access, annexv1alpha1.SecretWritten, annexv1alpha1.NotManagedReason)
	if len(w.host.Actions()) > 0 {
		t.Errorf("the host was asked: %v", w.host.Actions())
	}
}

func TestReconcile_HostRefuses(t *testing.T) {
	forbidden := apierrors.NewForbidden(secrets, "x", errors.New("not yours"))
	for name, tc := range map[string]struct {
		err    error
		reason string
		fails  bool
	}{
		"it is forbidden": {forbidden, annexv1alpha1.ForbiddenReason, false},
		"it is away":      {errors.New("connection refused"), annexv1alpha1.HostUnavailableReason, true},
	} {
		for _, resource := range []string{"secrets", "namespaces"} {
			t.Run(name+", "+resource, func(t *testing.T) {
				w := newWorld(t, true)
				w.host.PrependReactor("get", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.err })
				if _, err := w.r.reconcile(t.Context(), w.key); (err != nil) != tc.fails {
					t.Errorf("err = %v", err)
				}
				w.want(w.access(), annexv1alpha1.SecretWritten, tc.reason)
				if w.tokens.count != 0 {
					t.Error("a token was issued")
				}
				if err := w.annex.Delete(t.Context(), accesses, w.key, nil); err != nil {
					t.Fatal(err)
				}
				// A namespace of the host must not wait for a right that is gone. Once the host is back, it is asked again.
				_, err := w.r.reconcile(t.Context(), w.key)
				if waits := tc.fails && resource == "secrets"; (err != nil) != waits || (w.access() != nil) != waits {
					t.Errorf("%v, %v", err, w.access())
				}
				if account, binding := w.made("c1"); account != nil || binding != nil {
					t.Error("the access is not revoked")
				}
			})
		}
	}
}
