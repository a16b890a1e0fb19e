package tokenfile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/server/watchfile"
)

// Tokens are the tokens in a file. It implements authenticator.Token.
type Tokens struct {
	file   *watchfile.File
	tokens atomic.Pointer[tokenfile.TokenAuthenticator]
}

// New reads the file at path, which has lines of token,user,uid,"group1,group2".
func New(path string) (*Tokens, error) {
	file, err := watchfile.Open(path)
	if err != nil {
		return nil, err
	}
	known, err := tokenfile.NewCSV(path)
	if err != nil {
		return nil, err
	}
	t := &Tokens{file: file}
	t.tokens.Store(known)
	return t, nil
}

// AuthenticateToken implements authenticator.Token.
func (t *Tokens) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	return t.tokens.Load().AuthenticateToken(ctx, token)
}

// Run follows the file until ctx ends. Call it once.
func (t *Tokens) Run(ctx context.Context) {
	ticker := time.NewTicker(watchfile.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.poll(ctx)
		}
	}
}

// poll uses the content of the file if it is new.
func (t *Tokens) poll(ctx context.Context) {
	log := klog.FromContext(ctx).WithValues("file", t.file.Path())
	changed, err := t.file.Poll()
	if changed {
		changed, err = t.load()
	}
	switch {
	case err != nil:
		log.Error(err, "The token file cannot be used, so the tokens do not change")
	case changed:
		log.Info("Read the token file again")
	}
}

// load parses the file. It returns true if the tokens in it are used from now on.
func (t *Tokens) load() (bool, error) {
	known, err := tokenfile.NewCSV(t.file.Path())
	if err != nil {
		return false, err
	}
	// The parser reads the file itself. If somebody is writing it, the next calls of Poll see the whole.
	content, err := os.ReadFile(t.file.Path())
	if err != nil {
		return false, fmt.Errorf("comparing it with what was read: %w", err)
	}
	if !bytes.Equal(content, t.file.Content()) {
		return false, nil
	}
	t.tokens.Store(known)
	return true, nil
}
