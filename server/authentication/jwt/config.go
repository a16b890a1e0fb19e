package jwt

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// Config says which issuers are trusted. The zero value trusts none.
type Config struct {
	// File contains an AuthenticationConfiguration of apiserver.config.k8s.io. The file is read again when it changes. Empty: none.
	File string
	// Flags is a single issuer; without an IssuerURL, none. It has no effect with File.
	Flags Flags
	// ReservedExtra reports whether a configuration may not map claims to an extra field. May be nil.
	ReservedExtra func(key string) bool
	// ServerURL is the external URL of this server, without a path; empty if it is not known yet.
	ServerURL string
	// ServerID distinguishes this server from others in metrics, which contain a hash of it.
	ServerID string
}

// Any reports whether there may be trusted issuers.
func (c Config) Any() bool { return c.File != "" || c.Flags.IssuerURL != "" }

// Flags are the values of the --oidc flags of kube-apiserver.
type Flags struct {
	// IssuerURL is the issuer, and ClientID the audience of its tokens.
	IssuerURL, ClientID string
	// CAFile contains the CA of the issuer, in PEM format. It is read again when it changes. Empty: the CAs of the machine.
	CAFile string
	// UsernameClaim is the claim with the name of the user. UsernamePrefix comes before it: empty means the issuer and #, unless the claim
	// is email; - means nothing.
	UsernameClaim, UsernamePrefix string
	// GroupsClaim is the claim with the groups of the user; empty for no groups. GroupsPrefix comes before each.
	GroupsClaim, GroupsPrefix string
	// RequiredClaims must have these values.
	RequiredClaims map[string]string
	// SigningAlgorithms are the algorithms that the issuer may sign with, such as RS256.
	SigningAlgorithms []string
}

// What the flags of kube-apiserver say unless somebody sets them.
const (
	DefaultUsernameClaim    = "sub"
	DefaultSigningAlgorithm = "RS256"
)

// Check returns every fault of the flags, except those that only a configuration as a whole has.
func (f Flags) Check() []error {
	var errs []error
	if f.IssuerURL == "" {
		for flag, set := range map[string]bool{
			"client-id": f.ClientID != "", "ca-file": f.CAFile != "", "username-prefix": f.UsernamePrefix != "", "groups-claim": f.GroupsClaim != "",
			"groups-prefix": f.GroupsPrefix != "", "required-claim": len(f.RequiredClaims) > 0,
			"username-claim": f.UsernameClaim != DefaultUsernameClaim, "signing-algs": !slices.Equal(f.SigningAlgorithms, []string{DefaultSigningAlgorithm}),
		} {
			if set {
				errs = append(errs, fmt.Errorf("--oidc-%s: has no effect without --oidc-issuer-url", flag))
			}
		}
		return errs
	}
	if f.ClientID == "" {
		errs = append(errs, errors.New("--oidc-issuer-url: requires --oidc-client-id"))
	}
	if f.UsernameClaim == "" {
		errs = append(errs, errors.New("--oidc-username-claim: must not be empty"))
	}
	if f.GroupsPrefix != "" && f.GroupsClaim == "" {
		errs = append(errs, errors.New("--oidc-groups-prefix: has no effect without --oidc-groups-claim"))
	}
	if len(f.SigningAlgorithms) == 0 {
		errs = append(errs, errors.New("--oidc-signing-algs: must name at least one algorithm"))
	}
	for _, algorithm := range f.SigningAlgorithms {
		if known := oidc.AllValidSigningAlgorithms(); !slices.Contains(known, algorithm) {
			errs = append(errs, fmt.Errorf("--oidc-signing-algs %q: must be one of %v", algorithm, known))
		}
	}
	return errs
}

// configuration returns the flags in the form of a file. ca is the content of CAFile.
func (f Flags) configuration(ca []byte) *apiserver.AuthenticationConfiguration {
	prefix := f.UsernamePrefix
	switch {
	case prefix == "-":
		prefix = ""
	case prefix == "" && f.UsernameClaim != "email":
		prefix = f.IssuerURL + "#"
	}
	trusted := apiserver.JWTAuthenticator{
		Issuer: apiserver.Issuer{URL: f.IssuerURL, Audiences: []string{f.ClientID}, CertificateAuthority: string(ca)},
		ClaimMappings: apiserver.ClaimMappings{
			Username: apiserver.PrefixedClaimOrExpression{Claim: f.UsernameClaim, Prefix: &prefix},
		},
	}
	if f.GroupsClaim != "" {
		trusted.ClaimMappings.Groups = apiserver.PrefixedClaimOrExpression{Claim: f.GroupsClaim, Prefix: &f.GroupsPrefix}
	}
	for _, claim := range slices.Sorted(maps.Keys(f.RequiredClaims)) {
		trusted.ClaimValidationRules = append(trusted.ClaimValidationRules, apiserver.ClaimValidationRule{Claim: claim, RequiredValue: f.RequiredClaims[claim]})
	}
	return &apiserver.AuthenticationConfiguration{JWT: []apiserver.JWTAuthenticator{trusted}}
}

// Load returns the configuration in a file, without checking it.
func Load(file string) (*apiserver.AuthenticationConfiguration, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parse(content)
}

// codecs decode every version of the configuration, and refuse unknown and repeated fields.
var codecs = func() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict)
}()

func parse(content []byte) (*apiserver.AuthenticationConfiguration, error) {
	if len(content) == 0 {
		return nil, errors.New("it is empty")
	}
	obj, err := runtime.Decode(codecs.UniversalDecoder(), content)
	if err != nil {
		return nil, err
	}
	configuration, ok := obj.(*apiserver.AuthenticationConfiguration)
	if !ok {
		return nil, fmt.Errorf("it contains a %s, not an AuthenticationConfiguration", obj.GetObjectKind().GroupVersionKind().Kind)
	}
	return configuration, nil
}
