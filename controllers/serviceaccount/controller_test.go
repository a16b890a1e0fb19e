package serviceaccount

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// signer makes tokens that say what they are for.
type signer struct{ err error }

func (s signer) ForSecret(_ context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, secret *corev1.Secret) ([]byte, error) {
	return []byte(cluster.String() + " " + account.Name + " " + secret.Name), s.err
}

func secretOf(cluster logicalcluster.Name, change func(*corev1.Secret)) *corev1.Secret {
	secret := clienttest.In(cluster, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "token"},
		Type:       corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"mine": []byte("kept")},
	})
	secret.Annotations[corev1.ServiceAccountNameKey] = "robot"
	if change != nil {
		change(secret)
	}
	return secret
}

func robot(cluster logicalcluster.Name) *corev1.ServiceAccount {
	return clienttest.In(cluster, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot", UID: "1"}})
}

func full(secret *corev1.Secret) {
	secret.Annotations[corev1.ServiceAccountUIDKey] = "1"
	secret.Data = map[string][]byte{"mine": []byte("kept"), "token": []byte("a robot token"), "namespace": []byte("default"), "ca.crt": []byte("PEM")}
}

func TestReconcile(t *testing.T) {
	key := client.Key{Cluster: "a", Namespace: "default", Name: "token"}
	update, remove := []string{"update secrets a|default/token"}, []string{"delete secrets a|default/token"}
	for name, tc := range map[string]struct {
		objects []client.Object
		key     client.Key
		noCA    bool
		signer  signer
		refuse  error // what updates fail with
		want    []string
		wantErr bool
	}{
		"nothing":                   {},
		"an empty Secret":           {objects: []client.Object{secretOf("a", nil), robot("a")}, want: update},
		"a full Secret":             {objects: []client.Object{secretOf("a", full), robot("a")}},
		"another kind of Secret":    {objects: []client.Object{secretOf("a", func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }), robot("a")}},
		"no account":                {objects: []client.Object{secretOf("a", full)}, want: remove},
		"an account in another one": {objects: []client.Object{secretOf("a", full), robot("b")}, want: remove},
		"another account":           {objects: []client.Object{secretOf("a", func(s *corev1.Secret) { full(s); s.Annotations[corev1.ServiceAccountUIDKey] = "2" }), robot("a")}, want: remove},
		"other certificates":        {objects: []client.Object{secretOf("a", func(s *corev1.Secret) { full(s); s.Data["ca.crt"] = []byte("old") }), robot("a")}, want: update},
		"no certificates yet":       {objects: []client.Object{secretOf("a", func(s *corev1.Secret) { full(s); delete(s.Data, "ca.crt") }), robot("a")}, noCA: true},
		"immutable":                 {objects: []client.Object{secretOf("a", func(s *corev1.Secret) { s.Immutable = ptr.To(true) }), robot("a")}},
		"going": {objects: []client.Object{secretOf("a", func(s *corev1.Secret) {
			s.DeletionTimestamp, s.Finalizers = &metav1.Time{Time: time.Now()}, []string{"example.com/hold"}
		}), robot("a")}},
		"the server's own": {
			key: client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: "default", Name: "token"}, objects: []client.Object{secretOf(logicalcluster.SystemAdmin, nil)},
		},
		"nobody signs": {objects: []client.Object{secretOf("a", nil), robot("a")}, signer: signer{errors.New("no key")}, wantErr: true},
		"too large":    {objects: []client.Object{secretOf("a", nil), robot("a")}, refuse: apierrors.NewInvalid(schema.GroupKind{}, "", nil), wantErr: true},
		"just deleted": {objects: []client.Object{secretOf("a", nil), robot("a")}, refuse: apierrors.NewNotFound(secrets, "token")},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(tc.objects...)
			fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
				if verb == "update" {
					return tc.refuse
				}
				return nil
			})
			bundle := []byte("PEM")
			if tc.noCA {
				bundle = nil
			}
			if tc.key.Name == "" {
				tc.key = key
			}
			r := &reconciler{Config: Config{
				Config: multicluster.Config{Client: fake, Live: fake}, Tokens: tc.signer, CABundle: func() ([]byte, <-chan struct{}) { return bundle, nil },
			}}
			_, err := r.reconcile(t.Context(), tc.key)
			if (err != nil) != tc.wantErr || errors.Is(err, reconcile.TerminalError(nil)) != apierrors.IsInvalid(tc.refuse) {
				t.Errorf("err = %v", err)
			}
			if tc.refuse == nil && !slices.Equal(fake.Writes(), tc.want) {
				t.Errorf("writes %q, want %q", fake.Writes(), tc.want)
			}
			if slices.Equal(tc.want, update) {
				secret, err := client.Find[corev1.Secret](t.Context(), fake, secrets, key)
				want := secretOf("a", full)
				want.Data["token"] = []byte("a robot token")
				if err != nil || !maps.EqualFunc(secret.Data, want.Data, slices.Equal) || secret.Annotations[corev1.ServiceAccountUIDKey] != "1" {
					t.Errorf("filled with %q, %v, %v", secret.Data, secret.Annotations, err)
				}
			}
			if got := fake.Mutated(); len(got) != 0 {
				t.Errorf("shared objects were changed: %v", got)
			}
		})
	}
}

func TestController(t *testing.T) {
	fake := clienttest.NewFake(secretOf("a", nil), robot("a"), secretOf("b", nil), robot("b"))
	ca := clienttest.NewBundle("PEM")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- multicluster.Run(running, fake, Specs(Config{Config: multicluster.Config{Client: fake, Live: fake, Content: clienttest.NewContent(fake)},
			Tokens: signer{}, CABundle: ca.Watch})[0])
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	key := func(cluster logicalcluster.Name) client.Key {
		return client.Key{Cluster: cluster, Namespace: "default", Name: "token"}
	}
	awaitCA := func(cluster logicalcluster.Name, pem string) {
		t.Helper()
		if _, err := fake.Await(ctx, secrets, key(cluster), func(obj client.Object) bool {
			secret, ok := obj.(*corev1.Secret)
			return ok && string(secret.Data["ca.crt"]) == pem && string(secret.Data["token"]) == cluster.String()+" robot token"
		}); err != nil {
			t.Fatal(err)
		}
	}
	awaitCA("a", "PEM")
	awaitCA("b", "PEM")
	ca.Set("NEW")
	awaitCA("a", "NEW")
	awaitCA("b", "NEW")
	if err := fake.Delete(ctx, accounts, client.Key{Cluster: "a", Namespace: "default", Name: "robot"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Await(ctx, secrets, key("a"), func(obj client.Object) bool { return obj == nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Get(ctx, secrets, key("b")); err != nil {
		t.Errorf("the Secret of another workspace: %v", err)
	}
}
