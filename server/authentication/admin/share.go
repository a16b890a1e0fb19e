package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/secrets"
)

// SecretName is the Secret of the tokens that replicas share, in namespace kube-system of the cluster system:admin. Each key is
// an administrator.
const SecretName = "annex-administrators"

// Share makes all replicas on one etcd use the same tokens, so that the kubeconfig of each replica is valid at all of them. The first
// replica stores its own tokens; the others use the stored tokens instead of their own. Call Share before [Files.Write], and before
// the first request is served. live must see every acknowledged write.
func (f *Files) Share(ctx context.Context, live client.Reader, writer client.Writer) error {
	if f.rootDir == "" {
		return nil
	}
	secret := &secrets.Secret{
		Name:        SecretName,
		Description: "Tokens of the administrators in the admin kubeconfig, the same at all replicas. To replace them, change them here and restart the replicas.",
		Live:        live,
		Writer:      writer,
	}
	if err := secret.Settle(ctx, func(stored map[string][]byte) (map[string][]byte, error) {
		if stored != nil {
			return nil, f.take(stored)
		}
		data := map[string][]byte{}
		for name, value := range f.secrets {
			data[name] = []byte(value)
		}
		return data, nil
	}); err != nil {
		return fmt.Errorf("sharing the tokens of the administrators: %w", err)
	}
	return nil
}

// take makes the tokens those that are stored.
func (f *Files) take(stored map[string][]byte) error {
	shared := map[string]string{}
	var taken tokens
	same := true
	for _, u := range administrators() {
		value := strings.TrimSpace(string(stored[u.Name]))
		if value == "" {
			return fmt.Errorf("no token for %s in Secret %s; delete it to get new ones", u.Name, secrets.Key(SecretName))
		}
		shared[u.Name] = value
		same = same && f.secrets[u.Name] == value
		taken = append(taken, token{hash: sha256.Sum256([]byte(value)), user: u})
	}
	f.secrets, f.tokens, f.known = shared, taken, f.known && same
	return nil
}
