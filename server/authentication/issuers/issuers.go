package issuers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/server/outbound"
)

const (
	// capacity is how many bytes issuers may take, and issuerBytes what one takes at most, mostly its keys and its compiled expressions.
	capacity    = 32 << 20
	issuerBytes = 256 << 10
	// timeout is how long a request waits for an issuer.
	timeout = 10 * time.Second
)

// Resolver finds logical clusters; registry/index.Index is one.
type Resolver interface {
	// Resolve returns the name of the cluster at path; false when there is none.
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Config is what Issuers needs. Everything is required except Clock.
type Config struct {
	Cached   client.Reader
	Resolver Resolver
	// Guard makes the requests to issuers.
	Guard *outbound.Guard
	// Clock is the real clock if nil.
	Clock clock.PassiveClock
}

// Issuers accepts tokens. It is safe for concurrent use.
type Issuers struct {
	config   Config
	compiler func() authenticationcel.Compiler
	kept     *lru.Cache[[sha256.Size]byte, *issuer]
}

var _ authenticator.Token = &Issuers{}

// issuer checks the tokens of one issuer.
type issuer struct{ tokens authenticator.Token }

// New returns Issuers. It sends no request.
func New(c Config) *Issuers {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return &Issuers{
		config:   c,
		compiler: sync.OnceValue(authenticationcel.NewDefaultCompiler), // expensive, and most servers need none
		kept:     lru.New[[sha256.Size]byte, *issuer](capacity, nil),
	}
}

// AuthenticateToken implements authenticator.Token. It knows no token if the request is not for one cluster, or if no type of the cluster names
// the issuer of the token.
func (i *Issuers) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok || cluster.IsSystem() {
		return nil, false, nil
	}
	claimed, ok := issuerOf(token)
	if !ok {
		return nil, false, nil
	}
	// Audiences cannot be removed from a context, and are those of the issuer here.
	fresh, cancel := context.WithTimeout(logicalcluster.WithCluster(context.Background(), cluster), timeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	named, err := i.named(fresh, cluster, claimed)
	if err != nil {
		return nil, false, fmt.Errorf("finding the issuers of workspace %s: %w", cluster, err)
	}
	var errs []error
	for _, n := range named {
		response, accepted, err := i.by(fresh, n, token)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !accepted {
			continue
		}
		return &authenticator.Response{User: response.User}, true, nil
	}
	return nil, false, utilerrors.NewAggregate(errs)
}

// by returns who the token is according to an issuer.
func (i *Issuers) by(ctx context.Context, n named, token string) (*authenticator.Response, bool, error) {
	one, err := i.get(n)
	if err != nil {
		return nil, false, err
	}
	if hasDistributedClaims(token) {
		return nil, false, errors.New("tokens with distributed claims are not accepted from issuers of workspaces")
	}
	return one.tokens.AuthenticateToken(ctx, token)
}

// get returns the issuer that n says, which is made if it is not kept.
func (i *Issuers) get(n named) (*issuer, error) {
	content, err := json.Marshal(n.trusted)
	if err != nil {
		return nil, fmt.Errorf("reading issuer %s: %w", n.trusted.Issuer.URL, err)
	}
	key := sha256.Sum256(append(content, n.in...))
	if one, ok := i.kept.Get(key); ok {
		return one, nil
	}
	one, err := i.build(n.trusted)
	if err != nil {
		return nil, err
	}
	i.kept.Put(key, one, issuerBytes, n.in.String())
	return one, nil
}

// build returns an issuer whose keys are fetched when they are needed.
func (i *Issuers) build(trusted apiserver.JWTAuthenticator) (*issuer, error) {
	fetch := fetcher{guard: i.config.Guard, issuer: trusted.Issuer}
	trusted.Issuer.DiscoveryURL = "" // only for the fetcher
	client, err := fetch.client()
	if err != nil {
		return nil, err
	}
	// The context is for what the authenticator does in the background: with these options, nothing.
	ended, end := context.WithCancel(context.Background())
	end()
	tokens, err := oidc.New(ended, oidc.Options{
		JWTAuthenticator: trusted, Compiler: i.compiler(), SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
		KeySet: &keys{fetch: fetch.keys, clock: i.config.Clock}, Client: client,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to check tokens of issuer %s: %w", trusted.Issuer.URL, err)
	}
	return &issuer{tokens: tokens}, nil
}

// Bytes implements memory.Cache.
func (i *Issuers) Bytes() (bytes, limit int64) { return i.kept.Bytes() }
