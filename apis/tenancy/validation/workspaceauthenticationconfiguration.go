package validation

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/rule"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

const (
	// maxIssuers is how many issuers a configuration may list, as in Kubernetes.
	maxIssuers = 64
	// maxIssuerBytes is how large an issuer may be, with its CA and all its expressions.
	maxIssuerBytes = 64 << 10
	// maxExpressionBytes is how long an expression may be.
	maxExpressionBytes = 4096
)

// ValidateWorkspaceAuthenticationConfiguration returns what of a new WorkspaceAuthenticationConfiguration is too much. Admission checks everything
// else, because that needs a compiler of expressions.
func ValidateWorkspaceAuthenticationConfiguration(c *tenancyv1alpha1.WorkspaceAuthenticationConfiguration) field.ErrorList {
	errs := rule.ObjectMeta(&c.ObjectMeta, rule.SubdomainName)
	at := field.NewPath("spec", "jwt")
	if len(c.Spec.JWT) > maxIssuers {
		return append(errs, field.TooMany(at, len(c.Spec.JWT), maxIssuers))
	}
	for i := range c.Spec.JWT {
		jwt, at := &c.Spec.JWT[i], at.Index(i)
		if content, err := json.Marshal(jwt); err != nil || len(content) > maxIssuerBytes {
			errs = append(errs, field.TooLong(at, "", maxIssuerBytes))
			continue
		}
		expression := func(value string, path *field.Path) {
			if len(value) > maxExpressionBytes {
				errs = append(errs, field.TooLong(path, "", maxExpressionBytes))
			}
		}
		mappings := at.Child("claimMappings")
		expression(jwt.ClaimMappings.Username.Expression, mappings.Child("username", "expression"))
		expression(jwt.ClaimMappings.Groups.Expression, mappings.Child("groups", "expression"))
		expression(jwt.ClaimMappings.UID.Expression, mappings.Child("uid", "expression"))
		for j := range jwt.ClaimMappings.Extra {
			expression(jwt.ClaimMappings.Extra[j].ValueExpression, mappings.Child("extra").Index(j).Child("valueExpression"))
		}
		for j := range jwt.ClaimValidationRules {
			expression(jwt.ClaimValidationRules[j].Expression, at.Child("claimValidationRules").Index(j).Child("expression"))
		}
		for j := range jwt.UserValidationRules {
			expression(jwt.UserValidationRules[j].Expression, at.Child("userValidationRules").Index(j).Child("expression"))
		}
	}
	return errs
}

// ValidateWorkspaceAuthenticationConfigurationUpdate returns what of the change of a WorkspaceAuthenticationConfiguration from old to c is too
// much.
func ValidateWorkspaceAuthenticationConfigurationUpdate(c, old *tenancyv1alpha1.WorkspaceAuthenticationConfiguration) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta), ValidateWorkspaceAuthenticationConfiguration(c)...)
}
