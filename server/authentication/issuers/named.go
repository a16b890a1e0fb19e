package issuers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/apis/apiserver"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

var (
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	workspaceTypes  = tenancyv1alpha1.Resource("workspacetypes")
	configurations  = tenancyv1alpha1.Resource("workspaceauthenticationconfigurations")
)

// named is an issuer that a configuration in a cluster names.
type named struct {
	in      logicalcluster.Name
	trusted apiserver.JWTAuthenticator
}

// named returns the issuers called url that the types of a cluster name, as they are now. A type or a configuration that does not exist
// names none.
func (i *Issuers) named(ctx context.Context, cluster logicalcluster.Name, url string) ([]named, error) {
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, i.config.Cached, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil || lc == nil {
		return nil, err
	}
	path, name, ok := typeresolution.ParseQualified(lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey])
	if !ok {
		return nil, nil
	}
	t, err := i.workspaceType(ctx, path, name)
	var aliases []*typeresolution.Type
	if err == nil {
		aliases, err = typeresolution.Aliases(ctx, t, i.workspaceType)
	}
	if err != nil {
		if apierrors.IsServiceUnavailable(err) || ctx.Err() != nil {
			return nil, err
		}
		return nil, nil // the type, or one that it extends, does not exist or is in a circle
	}
	var found []named
	for _, t := range typeresolution.Followed(lc, aliases) {
		for _, ref := range t.Spec.AuthenticationConfigurations {
			key := client.Key{Cluster: logicalcluster.From(t), Name: ref.Name}
			configuration, err := client.Find[tenancyv1alpha1.WorkspaceAuthenticationConfiguration](ctx, i.config.Cached, configurations, key)
			if err != nil {
				return nil, err
			}
			if configuration == nil {
				continue
			}
			for j := range configuration.Spec.JWT {
				if jwt := &configuration.Spec.JWT[j]; jwt.Issuer.URL == url {
					found = append(found, named{in: key.Cluster, trusted: Trusted(jwt)})
				}
			}
		}
	}
	return found, nil
}

// workspaceType implements typeresolution.Getter.
func (i *Issuers) workspaceType(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
	cluster, found, err := i.config.Resolver.Resolve(ctx, path)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, apierrors.NewNotFound(workspaceTypes, path.Join(string(name)).String())
	}
	t, err := client.Find[typeresolution.Type](ctx, i.config.Cached, workspaceTypes, client.Key{Cluster: cluster, Name: string(name)})
	if t == nil && err == nil {
		err = apierrors.NewNotFound(workspaceTypes, string(name))
	}
	return t, err
}

// payload returns the claims of a token, which nobody has verified; false if it is no JSON Web Token.
func payload(token string, claims any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(content, claims) == nil
}

// issuerOf returns who a token says has signed it.
func issuerOf(token string) (string, bool) {
	var claims struct {
		Issuer string `json:"iss"`
	}
	return claims.Issuer, payload(token, &claims) && claims.Issuer != ""
}

// hasDistributedClaims reports whether claims of a token are elsewhere.
func hasDistributedClaims(token string) bool {
	var claims struct {
		Names json.RawMessage `json:"_claim_names"`
	}
	return !payload(token, &claims) || len(claims.Names) > 0
}

// Trusted returns an issuer in the form of the stock authenticator.
func Trusted(jwt *tenancyv1alpha1.JWTAuthenticator) apiserver.JWTAuthenticator {
	prefixed := func(m tenancyv1alpha1.PrefixedClaimOrExpression) apiserver.PrefixedClaimOrExpression {
		out := apiserver.PrefixedClaimOrExpression{Claim: m.Claim, Expression: m.Expression}
		if m.Claim != "" || m.Prefix != "" {
			prefix := m.Prefix
			out.Prefix = &prefix
		}
		return out
	}
	trusted := apiserver.JWTAuthenticator{
		Issuer: apiserver.Issuer{
			URL: jwt.Issuer.URL, DiscoveryURL: jwt.Issuer.DiscoveryURL, CertificateAuthority: jwt.Issuer.CertificateAuthority,
			Audiences: jwt.Issuer.Audiences, AudienceMatchPolicy: apiserver.AudienceMatchPolicyType(jwt.Issuer.AudienceMatchPolicy),
		},
		ClaimMappings: apiserver.ClaimMappings{
			Username: prefixed(jwt.ClaimMappings.Username), Groups: prefixed(jwt.ClaimMappings.Groups),
			UID: apiserver.ClaimOrExpression(jwt.ClaimMappings.UID),
		},
	}
	for _, extra := range jwt.ClaimMappings.Extra {
		trusted.ClaimMappings.Extra = append(trusted.ClaimMappings.Extra, apiserver.ExtraMapping(extra))
	}
	for _, rule := range jwt.ClaimValidationRules {
		trusted.ClaimValidationRules = append(trusted.ClaimValidationRules, apiserver.ClaimValidationRule(rule))
	}
	for _, rule := range jwt.UserValidationRules {
		trusted.UserValidationRules = append(trusted.UserValidationRules, apiserver.UserValidationRule(rule))
	}
	return trusted
}
