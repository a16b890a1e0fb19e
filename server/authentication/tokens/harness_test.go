package tokens

import (
	"context"
	"crypto"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/core"
)

const external = "https://annex.example.com"

// world is a server with the workspaces a and b. In each of them there are ServiceAccounts of the same names.
type world struct {
	*Tokens
	objects *stored
	clock   *clocktesting.FakePassiveClock
	// waits counts how often somebody has waited for the watch caches; wait is called then, and may fail.
	waits int
	wait  func() error
}

// stored are objects with the UIDs that the test gives them, beside those that the server stores.
type stored struct {
	*clienttest.Fake
	given map[string]client.Object
}

// Get implements client.Reader.
func (s *stored) Get(ctx context.Context, resource schema.GroupResource, key client.Key) (client.Object, error) {
	if obj, ok := s.given[resource.String()+key.String()]; ok {
		return obj, nil
	}
	return s.Fake.Get(ctx, resource, key)
}

// Wait implements Fresh.
func (w *world) Wait(context.Context) (uint64, error) {
	w.waits++
	if w.wait != nil {
		return 1, w.wait()
	}
	return 1, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{objects: &stored{clienttest.NewFake(), map[string]client.Object{}}, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))}
	for _, cluster := range []logicalcluster.Name{"a", "b"} {
		w.put("logicalclusters", logicalCluster(cluster, corev1alpha1.LogicalClusterPhaseReady))
		w.put("serviceaccounts", account(cluster, "uid-of-robot-in-"+cluster.String()))
		w.put("secrets", secret(cluster, "uid-of-tie-in-"+cluster.String()))
	}
	w.Tokens = New(Config{Cached: w.objects, Fresh: []Fresh{w}, External: func() string { return external }, Clock: w.clock})
	w.Share(w.objects, w.objects)
	return w
}

func logicalCluster(cluster logicalcluster.Name, phase corev1alpha1.LogicalClusterPhaseType) client.Object {
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
	lc.Status.Phase = phase
	return clienttest.In(cluster, lc)
}

func account(cluster logicalcluster.Name, uid string) *corev1.ServiceAccount {
	return clienttest.In(cluster, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot", UID: types.UID(uid)}})
}

func secret(cluster logicalcluster.Name, uid string) *corev1.Secret {
	return clienttest.In(cluster, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "tie", UID: types.UID(uid), Annotations: map[string]string{corev1.ServiceAccountNameKey: "robot"},
		},
		Type: corev1.SecretTypeServiceAccountToken,
	})
}

func groupResource(name string) schema.GroupResource {
	if name == "logicalclusters" {
		return corev1alpha1.Resource(name)
	}
	return corev1.Resource(name)
}

// put creates or replaces an object.
func (w *world) put(resource string, obj client.Object) {
	w.objects.given[groupResource(resource).String()+client.KeyOf(obj).String()] = obj
}

// remove deletes an object of put, or one that the server has stored.
func (w *world) remove(t *testing.T, resource string, key client.Key) {
	t.Helper()
	gr := groupResource(resource)
	if _, given := w.objects.given[gr.String()+key.String()]; given {
		delete(w.objects.given, gr.String()+key.String())
	} else if err := w.objects.Delete(t.Context(), gr, key, nil); err != nil {
		t.Fatal(err)
	}
}

// issue returns a token of robot in cluster a.
func (w *world) issue(t *testing.T, change func(*core.Token)) string {
	t.Helper()
	token := core.Token{
		Cluster: "a", Account: account("a", "uid-of-robot-in-a"), Audiences: []string{w.Audience("a")}, Issued: w.clock.Now(), Life: time.Hour,
	}
	if change != nil {
		change(&token)
	}
	signed, _, err := w.Issue(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// resign returns token with other claims, signed by somebody.
func resign(t *testing.T, token string, signing jose.SigningKey, change func(*claims)) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := parsed.UnsafeClaimsWithoutVerification(&c.Claims, &c.private); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	signer, err := jose.NewSigner(signing, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Signed(signer).Claims(c.Claims).Claims(c.private).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// own returns the key of the server, as only the server has it.
func (w *world) own(t *testing.T) (jose.SigningKey, crypto.PublicKey) {
	t.Helper()
	known, err := w.store.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := known.signer(w.clock.Now())
	return jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}}, &k.private.PublicKey
}
