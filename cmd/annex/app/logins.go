package app

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/pflag"
	"k8s.io/component-base/cli/flag"

	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authentication/jwt"
)

// LoginOptions say who is let in. Flags have the names of kube-apiserver where it has the same.
type LoginOptions struct {
	ClientCAFile string
	// ClientCAMasters lets client certificates make administrators of the server.
	ClientCAMasters bool
	TokenAuthFile   string
	// Anonymous accepts requests without credentials. If it is not set, ConfigFile may decide, and otherwise they are accepted.
	Anonymous flag.Tristate
	// APIAudiences are audiences of tokens for every workspace.
	APIAudiences []string
	// ConfigFile names the trusted issuers; OIDC is one issuer without a file.
	ConfigFile string
	OIDC       jwt.Flags
	// WebhookFile is a kubeconfig for the service that reviews tokens, in WebhookVersion of authentication.k8s.io.
	WebhookFile, WebhookVersion string
}

// NewLoginOptions returns the defaults.
func NewLoginOptions() *LoginOptions {
	return &LoginOptions{OIDC: jwt.Flags{UsernameClaim: jwt.DefaultUsernameClaim, SigningAlgorithms: []string{jwt.DefaultSigningAlgorithm}}, WebhookVersion: "v1beta1"}
}

// AddFlags adds a flag for every option.
func (o *LoginOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.ClientCAFile, "client-ca-file", o.ClientCAFile, "CA in PEM format. Accept client certificates of this CA. The file is read again when it changes.")
	fs.BoolVar(&o.ClientCAMasters, "client-ca-masters", o.ClientCAMasters, "Keep the groups system:masters and system:kcp:* of client certificates, so that they can make administrators of this server. By default such groups have no effect.")
	fs.StringVar(&o.TokenAuthFile, "token-auth-file", o.TokenAuthFile, "CSV file of static tokens, one per line: token,user,uid[,\"group1,group2\"]. The file is read again when it changes.")
	fs.Var(&o.Anonymous, "anonymous-auth", "Accept requests without credentials as system:anonymous. Default: true, unless the file of --authentication-config decides.")
	fs.Lookup("anonymous-auth").NoOptDefVal = "true"

	fs.StringSliceVar(&o.APIAudiences, "api-audiences", o.APIAudiences, "Audiences of ServiceAccount tokens for the API of every workspace, in addition to the URL of the workspace, which is always one.")

	fs.StringVar(&o.ConfigFile, "authentication-config", o.ConfigFile, "File with an AuthenticationConfiguration of apiserver.config.k8s.io: the issuers of OpenID Connect tokens that are trusted, and who is anonymous. It replaces the --oidc flags. The file is read again when it changes.")
	fs.StringVar(&o.OIDC.IssuerURL, "oidc-issuer-url", o.OIDC.IssuerURL, "URL of a trusted OpenID Connect issuer, with https.")
	fs.StringVar(&o.OIDC.ClientID, "oidc-client-id", o.OIDC.ClientID, "Audience of the issuer's tokens for this server. Required with --oidc-issuer-url.")
	fs.StringVar(&o.OIDC.CAFile, "oidc-ca-file", o.OIDC.CAFile, "CA of the issuer, in PEM format. The file is read again when it changes. Default: the CAs of the machine.")
	fs.StringVar(&o.OIDC.UsernameClaim, "oidc-username-claim", o.OIDC.UsernameClaim, "Claim with the name of the user.")
	fs.StringVar(&o.OIDC.UsernamePrefix, "oidc-username-prefix", o.OIDC.UsernamePrefix, "Prefix of user names. Default: the issuer and '#', except for the claim 'email'. '-' means no prefix.")
	fs.StringVar(&o.OIDC.GroupsClaim, "oidc-groups-claim", o.OIDC.GroupsClaim, "Claim with the groups of the user, a string or a list of strings. Default: no groups.")
	fs.StringVar(&o.OIDC.GroupsPrefix, "oidc-groups-prefix", o.OIDC.GroupsPrefix, "Prefix of groups.")
	fs.Var(flag.NewMapStringStringNoSplit(&o.OIDC.RequiredClaims), "oidc-required-claim", "Claim that tokens must have, as claim=value. Repeat the flag for more claims.")
	fs.StringSliceVar(&o.OIDC.SigningAlgorithms, "oidc-signing-algs", o.OIDC.SigningAlgorithms, "Algorithms with which the issuer may sign.")

	fs.StringVar(&o.WebhookFile, "authentication-token-webhook-config-file", o.WebhookFile, "Kubeconfig of a service that reviews the bearer tokens that this server does not know.")
	fs.StringVar(&o.WebhookVersion, "authentication-token-webhook-version", o.WebhookVersion, "Version of authentication.k8s.io in which that service reviews tokens: v1 or v1beta1.")
}

// files returns the flags that name files.
func (o *LoginOptions) files() map[string]string {
	return map[string]string{
		"client-ca-file": o.ClientCAFile, "token-auth-file": o.TokenAuthFile, "authentication-config": o.ConfigFile,
		"oidc-ca-file": o.OIDC.CAFile, "authentication-token-webhook-config-file": o.WebhookFile,
	}
}

// validate returns every fault, except faults in files.
func (o *LoginOptions) validate() []error {
	var errs []error
	if o.ClientCAMasters && o.ClientCAFile == "" {
		errs = append(errs, errors.New("--client-ca-masters: has no effect without --client-ca-file"))
	}
	if slices.Contains(o.APIAudiences, "") {
		errs = append(errs, errors.New("--api-audiences: an audience must not be empty"))
	}
	if o.ConfigFile != "" && o.OIDC.IssuerURL != "" {
		errs = append(errs, errors.New("--authentication-config: replaces the --oidc flags; set one or the other"))
	}
	if o.WebhookVersion != "v1" && o.WebhookVersion != "v1beta1" {
		errs = append(errs, fmt.Errorf("--authentication-token-webhook-version %q: must be v1 or v1beta1", o.WebhookVersion))
	}
	return append(errs, o.OIDC.Check()...)
}

// check returns the fault of a file and a flag that contradict each other.
func (o *LoginOptions) check() error {
	if o.ConfigFile == "" || !o.Anonymous.Provided() {
		return nil
	}
	configuration, err := jwt.Load(o.ConfigFile)
	if err != nil {
		return fmt.Errorf("--authentication-config %s: %w", o.ConfigFile, err)
	}
	if configuration.Anonymous != nil {
		return errors.New("--anonymous-auth: must not be set if the file of --authentication-config has the field anonymous")
	}
	return nil
}

// logins returns the configuration of who is let in, without administrators and host. external is the URL of this server; empty if it is
// not known yet.
func (o *Options) logins(external string) authentication.Config {
	l := o.Logins
	c := authentication.Config{
		ClientCAFile:    l.ClientCAFile,
		ClientCAMasters: l.ClientCAMasters,
		TokenFile:       l.TokenAuthFile,
		JWT:             jwt.Config{File: l.ConfigFile, Flags: l.OIDC, ServerURL: external},
		Anonymous:       !l.Anonymous.Provided() || l.Anonymous.Value(),
	}
	c.JWT.ServerID, _ = os.Hostname() // only for metrics
	if l.WebhookFile != "" {
		c.Webhook = &authentication.Webhook{Kubeconfig: l.WebhookFile, Version: l.WebhookVersion, CacheTTL: o.Host.TokenCacheTTL}
	}
	return c
}
