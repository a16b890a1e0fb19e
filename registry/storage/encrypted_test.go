package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"
)

// encrypting returns the transformers of an EncryptionConfiguration for configmaps and widgets, with providers such as "aesgcm:1", the name
// of whose key is also what it is made of.
func encrypting(t *testing.T, providers ...string) encryptionconfig.StaticTransformers {
	t.Helper()
	var all strings.Builder
	for _, p := range providers {
		name, key, ok := strings.Cut(p, ":")
		if !ok {
			fmt.Fprintf(&all, "  - %s: {}\n", name)
			continue
		}
		secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(key), 32))
		fmt.Fprintf(&all, "  - %s: {keys: [{name: k%s, secret: %s}]}\n", name, key, secret)
	}
	file := filepath.Join(t.TempDir(), "encryption.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"+
		"- resources: [configmaps, \"*.example.com\"]\n  providers:\n"+all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := encryptionconfig.LoadEncryptionConfig(t.Context(), file, false, "test")
	if err != nil {
		t.Fatal(err)
	}
	return config.Transformers
}

// encryptedBackend starts a Backend with transformers; nil for none.
func encryptedBackend(t *testing.T, client *kubernetes.Client, resources value.ResourceTransformers) *Backend {
	t.Helper()
	b, err := NewBackend(Config{Orphans: true, Client: client, Codec: coreCodec(t), CompactionInterval: -1, Encryption: resources})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Destroy)
	return b
}

const (
	plainMap    = "/annex/core/configmaps/c1/default/a"
	plainWidget = "/annex/cr/8/example.com/widgets/crd/c1/default/w"
)

func stored(t *testing.T, client *kubernetes.Client, key string) string {
	t.Helper()
	resp, err := client.KV.Get(t.Context(), key)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("%s: %v, %v", key, resp, err)
	}
	return string(resp.Kvs[0].Value)
}

func TestEncrypted_Rotation(t *testing.T) {
	for _, provider := range []string{"aescbc", "aesgcm", "secretbox"} {
		t.Run(provider, func(t *testing.T) {
			client := runEtcd(t)
			ctx := in(t.Context(), "c1")
			maps, gadgets := configMap("default", "a"), widget("default", "w", "plaintext")
			maps.Data = map[string]string{"word": "plaintext"}
			each := func(name string, providers []string, do func(t *testing.T, maps, widgets *store)) {
				t.Run(name, func(t *testing.T) {
					b := encryptedBackend(t, client, encrypting(t, providers...))
					m, w := configMapStore(t, b), widgetStore(t, b)
					waitReady(t, b)
					do(t, m, w)
					for _, s := range []*store{m, w} { // by the watch cache, and by etcd
						if items, _, err := tryList(ctx, s, s.root, recursive); err != nil || len(items) != 1 {
							t.Errorf("list: %d objects, %v", len(items), err)
						}
					}
					got := &corev1.ConfigMap{}
					if err := m.Get(ctx, m.key("default", "a"), apistorage.GetOptions{}, got); err != nil || got.Data["word"] != "plaintext" {
						t.Errorf("get: %v, %v", got.Data, err)
					}
				})
			}
			rewrite := func(t *testing.T, m, w *store) {
				update(t, ctx, m, configMap("default", "a"), func(object) {})
				update(t, ctx, w, widget("default", "w", "plaintext"), func(object) {})
			}
			begins := func(t *testing.T, prefix string) {
				t.Helper()
				for _, key := range []string{plainMap, plainWidget} {
					if is := stored(t, client, key); !strings.HasPrefix(is, prefix) || strings.Contains(is, "plaintext") == (prefix != "k8s\x00" && prefix != "") {
						t.Errorf("%s is %.40q, want it to begin with %q", key, is, prefix)
					}
				}
			}
			each("before", []string{"identity"}, func(t *testing.T, m, w *store) {
				create(t, ctx, m, maps)
				create(t, ctx, w, gadgets)
				begins(t, "")
			})
			each("turned on", []string{provider + ":1", "identity"}, func(t *testing.T, m, w *store) {
				begins(t, "")
				rewrite(t, m, w)
				begins(t, "k8s:enc:"+provider+":v1:k1:")
			})
			each("second key", []string{provider + ":2", provider + ":1"}, func(t *testing.T, m, w *store) {
				rewrite(t, m, w)
				begins(t, "k8s:enc:"+provider+":v1:k2:")
				revision := stored(t, client, plainMap)
				rewrite(t, m, w) // what is not stale is not written
				if stored(t, client, plainMap) != revision {
					t.Error("a no-op update of what is up to date writes")
				}
			})
			each("second key alone", []string{provider + ":2"}, func(t *testing.T, _, _ *store) { begins(t, "k8s:enc:"+provider+":v1:k2:") })
			each("turned off", []string{"identity", provider + ":2"}, func(t *testing.T, m, w *store) {
				rewrite(t, m, w)
				begins(t, "")
			})
			each("afterwards", []string{"identity"}, func(*testing.T, *store, *store) {})
		})
	}
}

// A value opens only at its key, which names the cluster, and one that does not open hides no other.
func TestEncrypted_ValuesStayAtTheirKeys(t *testing.T) {
	client := runEtcd(t)
	b := encryptedBackend(t, client, encrypting(t, "aesgcm:1"))
	m, w := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	one, two := in(t.Context(), "c1"), in(t.Context(), "c2")
	for _, ctx := range []context.Context{one, two} {
		create(t, ctx, m, configMap("default", "a"))
		create(t, ctx, w, widget("default", "w", "red"))
	}
	for _, key := range []string{plainMap, plainWidget} {
		other := strings.Replace(key, "/c1/", "/c2/", 1)
		if _, err := client.KV.Put(t.Context(), other, stored(t, client, key)); err != nil {
			t.Fatal(err)
		}
	}
	for what, s := range map[string]*store{`configmaps "default/a"`: m, `widgets.example.com "default/w"`: w} {
		if items, _, err := tryList(one, s, s.root, recursive); err != nil || len(items) != 1 {
			t.Errorf("%s in the first cluster: %v, %v", what, items, err)
		}
		if _, _, err := tryList(two, s, s.root, recursive); err == nil ||
			!strings.Contains(err.Error(), what+` of the logical cluster "c2" cannot be decrypted: no key of the encryption configuration`) {
			t.Errorf("%s in the second cluster: %v", what, err)
		}
	}
	if err := m.Get(two, m.key("default", "a"), apistorage.GetOptions{}, &corev1.ConfigMap{}); err == nil || apistorage.IsNotFound(err) {
		t.Errorf("reading what belongs to another cluster: %v", err)
	}
	// A deletion that drops what cannot be decoded leaves what another key may open.
	if err := w.Get(DroppingUnreadable(two), w.key("default", "w"), apistorage.GetOptions{}, newWidget()); err == nil || apistorage.IsNotFound(err) {
		t.Errorf("a read that drops: %v", err)
	}
	if stored(t, client, strings.Replace(plainWidget, "/c1/", "/c2/", 1)) == "" {
		t.Error("it was dropped")
	}
}

// Without the configuration, what is encrypted is not taken for data.
func TestEncrypted_WithoutConfiguration(t *testing.T) {
	client := runEtcd(t)
	ctx := in(t.Context(), "c1")
	b := encryptedBackend(t, client, encrypting(t, "secretbox:1"))
	w := widgetStore(t, b)
	waitReady(t, b)
	create(t, ctx, w, widget("default", "w", "red"))
	plain := encryptedBackend(t, client, nil)
	s := widgetStore(t, plain)
	waitReady(t, plain)
	if _, _, err := tryList(ctx, s, s.root, recursive); err == nil || !strings.Contains(err.Error(), "cannot be decrypted") {
		t.Errorf("list: %v", err)
	}
	if err := s.Get(DroppingUnreadable(ctx), s.key("default", "w"), apistorage.GetOptions{}, newWidget()); err == nil || apistorage.IsNotFound(err) {
		t.Errorf("a read that drops: %v", err)
	}
	// Who knows that the key is lost deletes it.
	remove := func(options apistorage.DeleteOptions) error {
		return s.Delete(ctx, s.key("default", "w"), newWidget(), nil, apistorage.ValidateAllObjectFunc, nil, options)
	}
	if err := remove(apistorage.DeleteOptions{}); err == nil {
		t.Error("it is deleted like any other object")
	}
	if err := remove(apistorage.DeleteOptions{ExpectTransformOrDecodeError: true}); err != nil {
		t.Errorf("an unsafe deletion: %v", err)
	}
	if left, err := client.KV.Get(t.Context(), plainWidget); err != nil || len(left.Kvs) != 0 {
		t.Errorf("an unsafe deletion leaves %v, %v", left, err)
	}
}

// A key that comes later opens what watch caches have taken in without it.
func TestEncrypted_Heals(t *testing.T) {
	client := runEtcd(t)
	ctx := in(t.Context(), "c1")
	b := encryptedBackend(t, client, encrypting(t, "aesgcm:2"))
	w := widgetStore(t, b)
	waitReady(t, b)
	labeled := widget("default", "w", "red")
	labeled.SetLabels(map[string]string{"a": "b"})
	create(t, ctx, w, labeled)

	late := encryptionconfig.NewDynamicTransformers(encrypting(t, "aesgcm:1"), nil, func() {}, 0)
	other := encryptedBackend(t, client, late)
	s := widgetStore(t, other)
	waitReady(t, other)
	if _, _, err := tryList(ctx, s, s.root, recursive); err == nil {
		t.Fatal("a list without the key succeeds")
	}
	healing, stop := context.WithCancel(t.Context())
	defer stop()
	go other.heal(healing, 10*time.Millisecond)
	late.Set(encrypting(t, "aesgcm:1", "aesgcm:2"), func() {}, nil, 0)
	var last error
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		heads, err := other.Heads(ctx, HeadScope{Cluster: "c1"})
		if last = err; err != nil || len(heads) != 1 || heads[0].Labels["a"] != "b" {
			return false, nil
		}
		items, _, err := tryList(ctx, s, s.root, recursive)
		last = err
		return err == nil && len(items) == 1, nil
	}); err != nil {
		t.Errorf("it does not heal: %v", last)
	}
}
