package authentication

import (
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

func TestValidate(t *testing.T) {
	type (
		jwt    = tenancyv1alpha1.JWTAuthenticator
		either = tenancyv1alpha1.PrefixedClaimOrExpression
	)
	for name, tc := range map[string]struct {
		change func(*jwt)
		want   []string // fields
	}{
		"a claim":                   {func(*jwt) {}, nil},
		"an expression":             {func(j *jwt) { j.ClaimMappings.Username = either{Expression: "claims.sub"} }, nil},
		"a prefix":                  {func(j *jwt) { j.ClaimMappings.Username.Prefix = "x:" }, nil},
		"groups":                    {func(j *jwt) { j.ClaimMappings.Groups = either{Claim: "groups"} }, nil},
		"no user name":              {func(j *jwt) { j.ClaimMappings.Username = either{} }, []string{"spec.jwt[0].claimMappings.username"}},
		"both":                      {func(j *jwt) { j.ClaimMappings.Username.Expression = "claims.sub" }, []string{"spec.jwt[0].claimMappings.username"}},
		"a prefix of an expression": {func(j *jwt) { j.ClaimMappings.Username = either{Expression: "claims.sub", Prefix: "x:"} }, []string{"spec.jwt[0].claimMappings.username.prefix"}},
		"groups with both":          {func(j *jwt) { j.ClaimMappings.Groups = either{Claim: "a", Expression: "claims.b"} }, []string{"spec.jwt[0].claimMappings.groups"}},
		"a uid with both": {func(j *jwt) {
			j.ClaimMappings.UID = tenancyv1alpha1.ClaimOrExpression{Claim: "a", Expression: "claims.b"}
		},
			[]string{"spec.jwt[0].claimMappings.uid"}},
		"an expression that is none": {func(j *jwt) { j.ClaimMappings.Username = either{Expression: "claims."} }, []string{"spec.jwt[0].claimMappings.username.expression"}},
		"extra without a value": {func(j *jwt) { j.ClaimMappings.Extra = []tenancyv1alpha1.ExtraMapping{{Key: "example.com/a"}} },
			[]string{"spec.jwt[0].claimMappings.extra[0].valueExpression"}},
		"a rule with both": {func(j *jwt) {
			j.ClaimValidationRules = []tenancyv1alpha1.ClaimValidationRule{{Claim: "a", RequiredValue: "b", Expression: "claims.a == 'b'"}}
		}, []string{"spec.jwt[0].claimValidationRules[0]"}},
		"a rule for users without an expression": {func(j *jwt) { j.UserValidationRules = []tenancyv1alpha1.UserValidationRule{{Message: "no"}} },
			[]string{"spec.jwt[0].userValidationRules[0].expression"}},
		"no audience": {func(j *jwt) { j.Issuer.Audiences = nil }, []string{"spec.jwt[0].issuer.audiences"}},
		"no issuer":   {func(j *jwt) { j.Issuer.URL = "" }, []string{"spec.jwt[0].issuer.url"}},
		"plain HTTP":  {func(j *jwt) { j.Issuer.URL = "http://issuer" }, []string{"spec.jwt[0].issuer.url"}},
		"this server": {func(j *jwt) { j.Issuer.URL = "https://annex/clusters/x" }, []string{"spec.jwt[0].issuer.url"}},
		"no CA":       {func(j *jwt) { j.Issuer.CertificateAuthority = "nothing" }, []string{"spec.jwt[0].issuer.certificateAuthority"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &tenancyv1alpha1.WorkspaceAuthenticationConfiguration{}
			c.Name = "sso"
			j := jwt{Issuer: tenancyv1alpha1.Issuer{URL: "https://issuer", Audiences: []string{"annex"}}}
			j.ClaimMappings.Username.Claim = "sub"
			tc.change(&j)
			c.Spec.JWT = []jwt{j}
			gvr := tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaceauthenticationconfigurations")
			a := admission.NewAttributesRecord(c, nil, tenancyv1alpha1.SchemeGroupVersion.WithKind("WorkspaceAuthenticationConfiguration"), "", "sso", gvr, "",
				admission.Create, nil, false, &user.DefaultInfo{Name: "alice"})
			err := New(func() string { return "https://annex" }).(admission.ValidationInterface).Validate(t.Context(), a, nil)
			if len(tc.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var fields []string
			if status, ok := err.(apierrors.APIStatus); ok && apierrors.IsInvalid(err) {
				for _, cause := range status.Status().Details.Causes {
					fields = append(fields, cause.Field)
				}
			}
			if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, tc.want[0]) }) {
				t.Errorf("got %v with fields %v, want %v", err, fields, tc.want)
			}
		})
	}
}
