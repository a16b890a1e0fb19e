package jwt

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/options/authenticationconfig/metrics"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/server/watchfile"
)

const (
	// cacheTTL is how long a token that was accepted is not checked again, as in kube-apiserver.
	cacheTTL = 10 * time.Second
	// stopDelay is how long an issuer that is no longer trusted may still fetch keys, for requests that are being checked.
	stopDelay = time.Minute
	// reachTimeout is how long the issuers of a new configuration may take to be reached until that is reported, again and again.
	reachTimeout = time.Minute
)

// Issuers are the trusted issuers. It implements authenticator.Token, and accepts no token before Run.
type Issuers struct {
	config     Config
	algorithms []string
	compiler   authenticationcel.Compiler
	clock      clock.PassiveClock
	// file is what is followed: the configuration, or the CA of the issuer that the flags name; nil if there is neither.
	file *watchfile.File
	// first is the configuration at the start.
	first *apiserver.AuthenticationConfiguration

	accepted atomic.Pointer[accepted]
	// pending is a newer configuration whose issuers have not all been reached; nil if there is none. Only Run uses it.
	pending *pending
}

// accepted is a configuration in use.
type accepted struct {
	issuers   []*issuer
	tokens    authenticator.Token
	anonymous *apiserver.AnonymousAuthConfig
}

// issuer checks the tokens of one issuer.
type issuer struct {
	trusted apiserver.JWTAuthenticator
	tokens  oidc.AuthenticatorTokenWithHealthCheck
	stop    context.CancelFunc
}

// New reads and checks the configuration. It sends no request. The error names the flag to correct.
func New(c Config) (*Issuers, error) {
	i := &Issuers{
		config: c, algorithms: c.Flags.SigningAlgorithms, compiler: authenticationcel.NewDefaultCompiler(), clock: clock.RealClock{},
		first: &apiserver.AuthenticationConfiguration{},
	}
	var err error
	switch {
	case c.File != "":
		i.algorithms = oidc.AllValidSigningAlgorithms()
		if i.file, err = watchfile.Open(c.File); err != nil {
			return nil, fmt.Errorf("--authentication-config: %w", err)
		}
		if i.first, err = i.read(i.file.Content()); err != nil {
			return nil, fmt.Errorf("--authentication-config %s: %w", c.File, err)
		}
		metrics.RegisterMetrics()
		metrics.RecordAuthenticationConfigLastConfigInfo(c.ServerID, string(i.file.Content()))
	case c.Flags.IssuerURL != "":
		var ca []byte
		if c.Flags.CAFile != "" {
			if i.file, err = watchfile.Open(c.Flags.CAFile); err != nil {
				return nil, fmt.Errorf("--oidc-ca-file: %w", err)
			}
			ca = i.file.Content()
		}
		if i.first, err = i.read(ca); err != nil {
			return nil, fmt.Errorf("--oidc-issuer-url and other --oidc flags, in the form of an AuthenticationConfiguration: %w", err)
		}
	}
	// Who is anonymous is known before the first request.
	i.accepted.Store(&accepted{anonymous: i.first.Anonymous})
	return i, nil
}

// read returns the configuration that content and the flags make, if it is valid.
func (i *Issuers) read(content []byte) (*apiserver.AuthenticationConfiguration, error) {
	var configuration *apiserver.AuthenticationConfiguration
	if i.config.File != "" {
		var err error
		if configuration, err = parse(content); err != nil {
			return nil, err
		}
	} else {
		configuration = i.config.Flags.configuration(content)
	}
	return configuration, i.config.validate(i.compiler, configuration)
}

// AuthenticateToken implements authenticator.Token. It does not know tokens of other issuers, and returns an error for every other token
// that is not valid.
func (i *Issuers) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	now := i.accepted.Load()
	if now.tokens == nil {
		return nil, false, nil
	}
	return now.tokens.AuthenticateToken(ctx, token)
}

// Anonymous returns what the configuration says about requests without credentials; nil if it says nothing.
func (i *Issuers) Anonymous() *apiserver.AnonymousAuthConfig { return i.accepted.Load().anonymous }

// build returns the configuration in a form that can be used, and those of its issuers that are not among known. They begin to fetch
// their keys, until ctx ends.
func (i *Issuers) build(ctx context.Context, configuration *apiserver.AuthenticationConfiguration, known []*issuer) (*accepted, []*issuer, error) {
	next := &accepted{anonymous: configuration.Anonymous}
	var fresh []*issuer
	var all []authenticator.Token
	for _, trusted := range configuration.JWT {
		at := slices.IndexFunc(known, func(k *issuer) bool { return reflect.DeepEqual(k.trusted, trusted) })
		if at >= 0 {
			next.issuers = append(next.issuers, known[at])
			all = append(all, known[at].tokens)
			continue
		}
		one, err := i.start(ctx, trusted)
		if err != nil {
			stop(fresh)
			return nil, nil, err
		}
		fresh = append(fresh, one)
		next.issuers = append(next.issuers, one)
		all = append(all, one.tokens)
	}
	if len(all) > 0 {
		next.tokens = cache.New(tokenunion.New(all...), false, cacheTTL, 0)
	}
	return next, fresh, nil
}

// start returns an issuer that fetches its keys in the background.
func (i *Issuers) start(ctx context.Context, trusted apiserver.JWTAuthenticator) (*issuer, error) {
	options := oidc.Options{
		JWTAuthenticator: trusted, Compiler: i.compiler, SupportedSigningAlgs: i.algorithms, APIServerID: i.config.ServerID,
	}
	if ca := trusted.Issuer.CertificateAuthority; ca != "" {
		content, err := dynamiccertificates.NewStaticCAContent("oidc-authenticator", []byte(ca))
		if err != nil {
			return nil, fmt.Errorf("reading the CA of issuer %s: %w", trusted.Issuer.URL, err)
		}
		options.CAContentProvider = content
	}
	ctx, cancel := context.WithCancel(ctx)
	tokens, err := oidc.New(ctx, options)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("preparing to check tokens of issuer %s: %w", trusted.Issuer.URL, err)
	}
	return &issuer{trusted: trusted, tokens: tokens, stop: cancel}, nil
}

func stop(issuers []*issuer) {
	for _, one := range issuers {
		one.stop()
	}
}
