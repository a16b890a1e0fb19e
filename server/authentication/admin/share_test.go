package admin

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/secrets"
)

// replica starts a server in a directory of its own, on the storage that all of them share.
func replica(t *testing.T, dir string, storage *clienttest.Fake) *Files {
	t.Helper()
	files, err := Prepare(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Share(t.Context(), storage, storage); err != nil {
		t.Fatal(err)
	}
	if err := files.Write("https://annex.example.com", nil); err != nil {
		t.Fatal(err)
	}
	return files
}

// tokenOf returns what the kubeconfig in dir holds for an administrator.
func tokenOf(t *testing.T, dir, name string) string {
	t.Helper()
	config, err := readKubeconfig(filepath.Join(dir, file))
	if err != nil || config.AuthInfos[name] == nil {
		t.Fatalf("the kubeconfig has nothing for %s: %v", name, err)
	}
	return config.AuthInfos[name].Token
}

func knows(t *testing.T, files *Files, token, name string) bool {
	t.Helper()
	response, ok, err := files.Authenticator().AuthenticateToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return ok && response.User.GetName() == name
}

func TestShare_KubeconfigOfOneReplicaIsGoodAtAll(t *testing.T) {
	storage := clienttest.NewFake()
	const count = 4
	dirs, all := make([]string, count), make([]*Files, count)
	var group sync.WaitGroup
	for i := range count {
		dirs[i] = t.TempDir()
		group.Go(func() { all[i] = replica(t, dirs[i], storage) })
	}
	group.Wait()
	for _, name := range []string{kcpAdmin, shardAdmin} {
		want := tokenOf(t, dirs[0], name)
		for i, files := range all {
			if !knows(t, files, want, name) || tokenOf(t, dirs[i], name) != want {
				t.Errorf("replica %d has another token for %s", i, name)
			}
		}
	}

	// A replica that has lost its files, as in a new pod, has the same again.
	want := tokenOf(t, dirs[0], kcpAdmin)
	if later := replica(t, t.TempDir(), storage); !knows(t, later, want, kcpAdmin) {
		t.Error("a replica without files makes tokens of its own")
	}
	// And one that comes with others forgets them.
	other := t.TempDir()
	replica(t, other, clienttest.NewFake())
	old := tokenOf(t, other, shardAdmin)
	if moved := replica(t, other, storage); knows(t, moved, old, shardAdmin) || tokenOf(t, other, kcpAdmin) != want {
		t.Error("a replica goes on with tokens from elsewhere")
	}
	again, err := Prepare(other, file)
	if err != nil || !again.known {
		t.Errorf("the files of a replica do not agree: %v", err)
	}
}

func TestShare_TokensAreReplacedInTheSecret(t *testing.T) {
	storage, dir := clienttest.NewFake(), t.TempDir()
	replica(t, dir, storage)
	old := tokenOf(t, dir, kcpAdmin)
	obj, err := storage.Get(t.Context(), secrets.Resource(), client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: metav1.NamespaceSystem, Name: SecretName})
	if err != nil {
		t.Fatal(err)
	}
	secret := obj.DeepCopyObject().(*corev1.Secret)
	secret.Data[kcpAdmin] = []byte("a-new-one\n")
	if _, err := storage.Update(t.Context(), secrets.Resource(), logicalcluster.SystemAdmin, secret); err != nil {
		t.Fatal(err)
	}
	files := replica(t, dir, storage)
	if knows(t, files, old, kcpAdmin) || !knows(t, files, "a-new-one", kcpAdmin) || tokenOf(t, dir, kcpAdmin) != "a-new-one" {
		t.Error("the token was not replaced")
	}
	if knows(t, files, "", shardAdmin) {
		t.Error("no token is a token")
	}

	secret.ResourceVersion, secret.Data[shardAdmin] = "", nil
	if _, err := storage.Update(t.Context(), secrets.Resource(), logicalcluster.SystemAdmin, secret); err != nil {
		t.Fatal(err)
	}
	broken, err := Prepare(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Share(t.Context(), storage, storage); err == nil || !strings.Contains(err.Error(), shardAdmin) {
		t.Errorf("a Secret without a token gives %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig: %v, %v", info, err)
	}
}
