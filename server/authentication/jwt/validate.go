package jwt

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
)

// validate returns every fault of the configuration, as kube-apiserver does, and what has no effect here.
func (c Config) validate(compiler authenticationcel.Compiler, configuration *apiserver.AuthenticationConfiguration) error {
	errs := validation.ValidateAuthenticationConfiguration(compiler, configuration, nil)
	for i, trusted := range configuration.JWT {
		at := field.NewPath("jwt").Index(i)
		if c.ofWorkspace(trusted.Issuer.URL) {
			errs = append(errs, field.Invalid(at.Child("issuer", "url"), trusted.Issuer.URL, "is the issuer of a workspace, whose tokens are for ServiceAccounts"))
		}
		if kind := trusted.Issuer.EgressSelectorType; kind != "" {
			errs = append(errs, field.Invalid(at.Child("issuer", "egressSelectorType"), kind, "this server has no egress selector"))
		}
		for j, extra := range trusted.ClaimMappings.Extra {
			if c.ReservedExtra != nil && c.ReservedExtra(extra.Key) {
				errs = append(errs, field.Invalid(at.Child("claimMappings", "extra").Index(j).Child("key"), extra.Key, "is reserved for the server itself"))
			}
		}
	}
	return errs.ToAggregate()
}

// ofWorkspace reports whether issuer is that of a workspace, <server>/clusters/<logical cluster>. The server takes the tokens of such an
// issuer for those of ServiceAccounts, and asks nobody else about them.
func (c Config) ofWorkspace(issuer string) bool {
	return c.ServerURL != "" && strings.HasPrefix(issuer, c.ServerURL+"/clusters/")
}
