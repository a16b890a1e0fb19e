package storage

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/registry/storage/layout"
)

func TestCheckVersion(t *testing.T) {
	client := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = client.Close() })
	for name, tc := range map[string]struct {
		stored string
		ok     bool
	}{
		"none":       {"", true},
		"this one":   {"2", true},
		"a newer":    {"5", false},
		"an older":   {"1", true},
		"too old":    {"0", false},
		"not number": {"x", false},
		"odd number": {"01", false},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := "/" + strings.ReplaceAll(name, " ", "-")
			key := prefix + layout.VersionKey
			if tc.stored != "" {
				if _, err := client.KV.Put(t.Context(), key, tc.stored); err != nil {
					t.Fatal(err)
				}
			}
			// Several replicas start at once.
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					err := CheckVersion(t.Context(), client, prefix, nil)
					var other *VersionError
					if ok := err == nil; ok != tc.ok || (!ok && !errors.As(err, &other)) {
						t.Errorf("error = %v", err)
					}
				})
			}
			all.Wait()
			want := tc.stored
			if want == "" {
				want = "1"
			}
			got, err := client.KV.Get(t.Context(), key)
			if err != nil || got.Count != 1 || string(got.Kvs[0].Value) != want {
				t.Errorf("stored: %v, %v; want %q", got, err, want)
			}
			if !tc.ok {
				return
			}
			for range 5 {
				all.Go(func() {
					if err := RaiseVersion(t.Context(), client, prefix, nil); err != nil {
						t.Errorf("raising it: %v", err)
					}
				})
			}
			all.Wait()
			if got, err = client.KV.Get(t.Context(), key); err != nil || string(got.Kvs[0].Value) != "2" {
				t.Errorf("raised to %v, %v", got, err)
			}
			if err := RaiseVersionToEncrypt(t.Context(), client, prefix, nil); err != nil {
				t.Errorf("raising it to encrypt: %v", err)
			}
			// It stays so, whether a server encrypts or not.
			if err := RaiseVersion(t.Context(), client, prefix, nil); err != nil {
				t.Errorf("raising it again: %v", err)
			}
			if got, err = client.KV.Get(t.Context(), key); err != nil || string(got.Kvs[0].Value) != "4" {
				t.Errorf("raised to %v, %v", got, err)
			}
		})
	}
}

func TestVersionKey_IsNoObjectsKey(t *testing.T) {
	for _, path := range []string{layout.VersionKey, layout.EtcdsKey} {
		if key, err := layout.Parse(path); err == nil {
			t.Errorf("%s is the key of %v", path, key)
		}
	}
}
