package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"

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

// administrators returns who is made.
func administrators() []*user.DefaultInfo {
	return []*user.DefaultInfo{
		{Name: kcpAdmin, UID: kcpAdmin, Groups: []string{GroupAdmin, user.AllAuthenticated}},
		{Name: shardAdmin, UID: shardAdmin, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}},
	}
}

// Ensure writes the kubeconfig, with url and the CA certificates in caPEM (PEM, may be empty) as they are now, and returns the
// authenticator of the tokens in it. url is the address of the server without any path, such as https://127.0.0.1:6443. A
// relative kubeconfigPath is below rootDir. With an empty rootDir no file is written and nobody authenticated.
//
// Other users, clusters and contexts in the kubeconfig are kept, and so is its current context while that exists. A file that
// is not a kubeconfig of this server is an error and left alone.
func Ensure(rootDir, kubeconfigPath, url string, caPEM []byte) (authenticator.Token, error) {
	if rootDir == "" {
		return tokens{}, nil
	}
	kubeconfigPath = absolute(rootDir, kubeconfigPath)
	storePath := filepath.Join(rootDir, StoreName)
	stored, config, err := read(rootDir, kubeconfigPath)
	if err != nil {
		return nil, err
	}
	secrets, known := tokensIn(config, stored)
	if !known {
		for _, u := range administrators() {
			secrets[u.Name] = newToken()
		}
	}
	out, hashes := tokens{}, map[string]hash{}
	for _, u := range administrators() {
		hashes[u.Name] = sha256.Sum256([]byte(secrets[u.Name]))
		out = append(out, token{hash: hashes[u.Name], user: u})
	}
	// A crash between the two leaves files that do not agree, and new tokens at the next start.
	if !known {
		if err := writeStore(storePath, hashes); err != nil {
			return nil, err
		}
	}
	if err := writeKubeconfig(kubeconfigPath, config, secrets, url, caPEM); err != nil {
		return nil, err
	}
	return out, nil
}

// Check returns the error that Ensure would return for files that are not its own, and changes nothing.
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

// describe wraps err with what was done to which file.
func describe(doing, path string, err error) error { return fmt.Errorf("%s %s: %w", doing, path, err) }
