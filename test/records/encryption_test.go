package records

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/test/framework/annex"
)

// encryption is an EncryptionConfiguration of resources, with keys of AES-GCM that are named by a character.
func encryption(resources string, keys ...string) string {
	var all strings.Builder
	for _, key := range keys {
		secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(key), 32))
		fmt.Fprintf(&all, "  - aesgcm: {keys: [{name: key%s, secret: %s}]}\n", key, secret)
	}
	return "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [" + resources + "]\n  providers:\n" + all.String()
}

func encrypted(key string) string { return "k8s:enc:aesgcm:v1:key" + key + ":" }

// Everything is encrypted, those objects included by which storage decides about others.
func TestEncryption_Everything(t *testing.T) {
	etcd := annex.StartEtcd(t)
	file := write(t, "encryption.yaml", encryption(`"*.*"`, "1"))
	flags := []string{"--etcd-servers", etcd.URL(), "--encryption-provider-config", file}
	s := annex.Start(t, append(flags, "--max-objects-per-workspace", "40")...)
	path, cluster := s.NewWorkspace("root", "encrypted", "")
	config := s.Workspace(path)
	defineGadgets(t, config)
	must(t, config, 201, http.MethodPost, configMaps, configMap("one", "plaintext"))
	must(t, config, 201, http.MethodPost, secrets, secret("one", "plaintext"))
	must(t, config, 201, http.MethodPost, gadgets, gadget("one", "plaintext"))
	// What is rendered is changed, and deleted.
	must(t, config, 200, http.MethodPatch, "/api/v1/namespaces/default/serviceaccounts/default", `{"metadata":{"labels":{"word":"plaintext"}}}`, "Content-Type", "application/merge-patch+json")
	must(t, config, 200, http.MethodDelete, "/api/v1/namespaces/kube-system/serviceaccounts/default", "")
	must(t, config, 201, http.MethodPost, "/api/v1/namespaces/default/resourcequotas",
		`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"two"},"spec":{"hard":{"count/gadgets.example.com":"2"}}}`)
	must(t, config, 201, http.MethodPost, gadgets, gadget("two", "plaintext"))
	if answer := must(t, config, 403, http.MethodPost, gadgets, gadget("three", "plaintext")); !strings.Contains(answer, "exceeded quota: two") {
		t.Errorf("above a quota: %s", answer)
	}
	for i, done := 0, false; !done; i++ {
		code, answer, err := send(t.Context(), config, http.MethodPost, configMaps, configMap(fmt.Sprintf("more-%d", i), "plaintext"))
		if done = code == 403 && strings.Contains(answer, "(40/40 objects)"); err != nil || !done && code != 201 || i > 40 {
			t.Fatalf("ConfigMap %d: %d %s, %v", i, code, answer, err)
		}
	}
	look := func(when string) {
		t.Helper()
		if _, values := etcd.Mentions("plaintext"); len(values) > 0 {
			t.Errorf("%s, these hold plaintext: %q", when, values)
		}
		keys, _ := etcd.Mentions("")
		_, sealed := etcd.Mentions(encrypted("1"))
		for _, key := range keys {
			if slices.Contains(sealed, key) || key == "/annex/version" || strings.HasPrefix(key, "/annex/annex.dev/") || strings.Contains(key, "compact_rev_key") {
				continue
			}
			if _, values := etcd.Mentions("\x00deleted"); !slices.Contains(values, key) {
				t.Errorf("%s, %s is not encrypted", when, key)
			}
		}
	}
	look("at first")
	s.Stop()
	s.Start() // watch caches read it all
	config = s.Workspace(path)
	look("after a restart")
	for _, list := range []string{configMaps, secrets, gadgets, "/api/v1/serviceaccounts"} {
		if answer := must(t, config, 200, http.MethodGet, list, ""); !strings.Contains(answer, "plaintext") && !strings.Contains(answer, base64.StdEncoding.EncodeToString([]byte("plaintext"))) {
			t.Errorf("%s: %s", list, answer)
		}
	}
	must(t, config, 403, http.MethodPost, gadgets, gadget("three", "plaintext"))
	check := []string{"check", "data", "--etcd-servers", etcd.URL()}
	if out, errs, code := annex.Run(t, append(check, "--encryption-provider-config", file)...); code != 0 {
		t.Errorf("checking the data ends with %d: %s%s", code, out, errs)
	}
	if out, errs, code := annex.Run(t, append(check, "--repair")...); code == 0 || !strings.Contains(errs, "identity transformer tried to read encrypted data") || strings.Contains(out, "removed") {
		t.Errorf("checking the data without keys ends with %d: %s%s", code, out, errs)
	}
	must(t, s.Workspace("root"), 200, http.MethodDelete, "/apis/tenancy.kcp.io/v1alpha1/workspaces/encrypted", "")
	annex.Eventually(t, func(context.Context) error {
		if keys, _ := etcd.Mentions("/" + cluster + "/"); len(keys) > 0 {
			return fmt.Errorf("left of the workspace: %q", keys)
		}
		return nil
	})
}

// As the documentation says: a key is added, made the first one, everything is written again, and the old one removed.
func TestEncryption_Rotation(t *testing.T) {
	etcd := annex.StartEtcd(t)
	const resources = `secrets, gadgets.example.com`
	file := write(t, "encryption.yaml", encryption(resources, "1"))
	s := annex.Start(t, "--etcd-servers", etcd.URL(), "--encryption-provider-config", file)
	path, _ := s.NewWorkspace("root", "rotated", "")
	defineGadgets(t, s.Workspace(path))
	must(t, s.Workspace(path), 201, http.MethodPost, secrets, secret("one", "plaintext"))
	must(t, s.Workspace(path), 201, http.MethodPost, gadgets, gadget("one", "plaintext"))
	must(t, s.Workspace(path), 201, http.MethodPost, configMaps, configMap("one", "plaintext"))
	if _, values := etcd.Mentions("plaintext"); len(values) != 1 || !strings.Contains(values[0], "/configmaps/") {
		t.Errorf("not encrypted: %q", values)
	}
	with := func(keys ...string) {
		t.Helper()
		s.Stop()
		rewrite(t, file, encryption(resources, keys...))
		s.Start()
	}
	with("1", "2")
	with("2", "1")
	all := s.Config(annex.ContextShardBase)
	all.Host = s.URL() + "/clusters/*"
	clusters := []string{"system:admin"}
	for _, lc := range itemsOf(t, must(t, all, 200, http.MethodGet, "/apis/core.kcp.io/v1alpha1/logicalclusters", "")) {
		clusters = append(clusters, lc.GetAnnotations()["kcp.io/cluster"])
	}
	for _, cluster := range clusters {
		within := s.Config(annex.ContextShardBase)
		within.Host = s.URL() + "/clusters/" + cluster
		for group, resource := range map[string]string{"/api/v1": "secrets", "/apis/example.com/v1": "gadgets"} {
			code, list, err := send(t.Context(), within, http.MethodGet, group+"/"+resource, "")
			if err != nil || code != 200 && code != 404 {
				t.Fatalf("%s in %s: %d %s, %v", resource, cluster, code, list, err)
			}
			if code == 404 {
				continue
			}
			for _, object := range itemsOf(t, list) {
				body, err := object.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				must(t, within, 200, http.MethodPut, group+"/namespaces/"+object.GetNamespace()+"/"+resource+"/"+object.GetName(), string(body))
			}
		}
	}
	if _, old := etcd.Mentions(encrypted("1")); len(old) > 0 {
		t.Errorf("still encrypted with the old key: %q", old)
	}
	with("2")
	for _, list := range []string{secrets, gadgets} {
		must(t, s.Workspace(path), 200, http.MethodGet, list+"/one", "")
		must(t, s.Workspace(path), 200, http.MethodGet, list, "")
	}
	metrics := must(t, rootless(s), 200, http.MethodGet, "/metrics", "")
	if !strings.Contains(metrics, `apiserver_storage_transformation_operations_total{resource="secrets"`) || strings.Contains(metrics, "gadgets") {
		t.Error("metrics do not count Secrets, or name a resource of a workspace")
	}
}

// itemsOf returns the objects in a list.
func itemsOf(t *testing.T, list string) []unstructured.Unstructured {
	t.Helper()
	var read unstructured.UnstructuredList
	if err := read.UnmarshalJSON([]byte(list)); err != nil {
		t.Fatal(err)
	}
	return read.Items
}

func TestEncryption_BadConfiguration(t *testing.T) {
	for name, tc := range map[string]struct {
		content, want string
		more          []string
	}{
		"not a configuration": {"{}", "--encryption-provider-config", nil},
		"a short key": {"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - aescbc: {keys: [{name: a, secret: YQ==}]}\n",
			"secret is not of the expected length", nil},
		"an unknown provider": {"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - rot13: {}\n",
			`unknown field "resources[0].providers[0].rot13"`, nil},
		"wildcards that overlap": {strings.Replace(encryption(`"*.*"`, "1"), "resources:\n", "resources:\n- resources: [\"*.*\"]\n  providers: [identity: {}]\n", 1), "--encryption-provider-config", nil},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve", "--root-directory", t.TempDir(), "--secure-port", "0", "--encryption-provider-config", write(t, "encryption.yaml", tc.content)}, tc.more...)
			if _, errs, code := annex.Run(t, args...); code == 0 || !strings.Contains(errs, tc.want) || strings.Count(strings.TrimSpace(errs), "\n") > 3 {
				t.Errorf("ends with %d:\n%s", code, errs)
			}
		})
	}
	if _, errs, code := annex.Run(t, "serve", "--root-directory", t.TempDir(), "--encryption-provider-config-automatic-reload"); code == 0 ||
		!strings.Contains(errs, "has no effect without --encryption-provider-config") {
		t.Errorf("a reload of nothing ends with %d:\n%s", code, errs)
	}
}

var errNotYet = errors.New("not yet")
