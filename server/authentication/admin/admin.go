package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// StoreName is the name of the file of hashes in the root directory.
const StoreName = ".admin-token-store"

// Names of the administrators in the kubeconfig, in the store and as users.
const (
	kcpAdmin   = "kcp-admin"
	shardAdmin = "shard-admin"
)

// GroupAdmin is the group of administrators who are cluster-admin in every workspace.
const GroupAdmin = "system:kcp:admin"

type hash = [sha256.Size]byte

// administrators returns the users to create.
func administrators() []*user.DefaultInfo {
	return []*user.DefaultInfo{
		{Name: kcpAdmin, UID: kcpAdmin, Groups: []string{GroupAdmin, user.AllAuthenticated}},
		{Name: shardAdmin, UID: shardAdmin, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}},
	}
}

// Files are the kubeconfig of the administrators and the hashes of the tokens in it.
type Files struct {
	rootDir, kubeconfigPath string
	known                   bool              // whether the tokens are the same as in the files
	secrets                 map[string]string // by user, until they are written
	tokens                  tokens
	// accepted are the tokens once they are written: until then, they may not be those that replicas share.
	accepted atomic.Pointer[tokens]
}

// Prepare reads the files and generates missing tokens. It writes nothing; [Files.Write] does. A relative kubeconfigPath is below
// rootDir. If rootDir is empty, no file is written and nobody is authenticated.
//
// If a file is not a kubeconfig of this server, Prepare returns an error and does not change the file.
func Prepare(rootDir, kubeconfigPath string) (*Files, error) {
	f := &Files{rootDir: rootDir, kubeconfigPath: absolute(rootDir, kubeconfigPath)}
	if rootDir == "" {
		return f, nil
	}
	stored, config, err := read(rootDir, f.kubeconfigPath)
	if err != nil {
		return nil, err
	}
	f.secrets, f.known = tokensIn(config, stored)
	for _, u := range administrators() {
		if !f.known {
			f.secrets[u.Name] = newToken()
		}
		f.tokens = append(f.tokens, token{hash: sha256.Sum256([]byte(f.secrets[u.Name])), user: u})
	}
	return f, nil
}

// Authenticator accepts the tokens of the kubeconfig after [Files.Write].
func (f *Files) Authenticator() authenticator.Token {
	return authenticator.TokenFunc(func(ctx context.Context, presented string) (*authenticator.Response, bool, error) {
		accepted := f.accepted.Load()
		if accepted == nil {
			return nil, false, nil
		}
		return accepted.AuthenticateToken(ctx, presented)
	})
}

// Write writes the kubeconfig with url and the current CA certificates in caPEM (PEM, may be empty). It also writes the hashes if they
// are new. url is the address of the server without any path, such as https://127.0.0.1:6443. Other users, clusters
// and contexts in the kubeconfig are kept, and so is its current context if that exists. Call Write once.
func (f *Files) Write(url string, caPEM []byte) error {
	if f.rootDir == "" {
		return nil
	}
	config, err := readKubeconfig(f.kubeconfigPath)
	if err != nil {
		return err
	}
	// A crash between the two writes leaves inconsistent files. The next start then generates new tokens.
	if !f.known {
		hashes := map[string]hash{}
		for _, t := range f.tokens {
			hashes[t.user.Name] = t.hash
		}
		if err := writeStore(filepath.Join(f.rootDir, StoreName), hashes); err != nil {
			return err
		}
	}
	secrets := f.secrets
	f.secrets = nil
	if err := writeKubeconfig(f.kubeconfigPath, config, secrets, url, caPEM); err != nil {
		return err
	}
	f.accepted.Store(&f.tokens)
	return nil
}

// Refresh writes url and caPEM into the kubeconfig and keeps its tokens. If somebody has deleted the kubeconfig, Refresh does not
// create it again.
func (f *Files) Refresh(url string, caPEM []byte) error {
	if f.rootDir == "" {
		return nil
	}
	if _, err := os.Stat(f.kubeconfigPath); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	config, err := readKubeconfig(f.kubeconfigPath)
	if err != nil {
		return err
	}
	return writeKubeconfig(f.kubeconfigPath, config, nil, url, caPEM)
}

// Check returns the error that Prepare would return for foreign files. It changes nothing.
func Check(rootDir, kubeconfigPath string) error {
	if rootDir == "" {
		return nil
	}
	_, _, err := read(rootDir, absolute(rootDir, kubeconfigPath))
	return err
}

// absolute returns the path of the kubeconfig; empty stays empty.
func absolute(rootDir, kubeconfigPath string) string {
	if kubeconfigPath == "" || filepath.IsAbs(kubeconfigPath) {
		return kubeconfigPath
	}
	return filepath.Join(rootDir, kubeconfigPath)
}

// read returns the stored hashes by user, and the kubeconfig.
func read(rootDir, kubeconfigPath string) (map[string]hash, *clientcmdapi.Config, error) {
	if kubeconfigPath == "" {
		return nil, nil, errors.New("writing the kubeconfig of the administrators: its path is empty")
	}
	stored, err := readStore(filepath.Join(rootDir, StoreName))
	if err != nil {
		return nil, nil, err
	}
	config, err := readKubeconfig(kubeconfigPath)
	return stored, config, err
}

// newToken returns 256 random bits in letters that need no quoting.
func newToken() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

type token struct {
	hash hash
	user *user.DefaultInfo
}

// tokens authenticates the administrators.
type tokens []token

// AuthenticateToken implements authenticator.Token.
func (t tokens) AuthenticateToken(_ context.Context, presented string) (*authenticator.Response, bool, error) {
	sum := sha256.Sum256([]byte(presented))
	for _, known := range t {
		if subtle.ConstantTimeCompare(sum[:], known.hash[:]) == 1 {
			return &authenticator.Response{User: known.user}, true, nil
		}
	}
	return nil, false, nil
}

// describe wraps err with the operation and the file.
func describe(doing, path string, err error) error { return fmt.Errorf("%s %s: %w", doing, path, err) }
