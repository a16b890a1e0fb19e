package authentication

import (
	"context"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/authentication/issuers"
)

// Name is the name of the plugin.
const Name = "tenancy.kcp.io/WorkspaceAuthenticationConfiguration"

type plugin struct {
	*admission.Handler
	// external returns the address of the server, without a slash at the end.
	external func() string
	compiler func() authenticationcel.Compiler
}

var _ admission.ValidationInterface = &plugin{}

// New returns the plugin. external returns the address of the server as users see it.
func New(external func() string) admission.Interface {
	return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update), external: external, compiler: sync.OnceValue(authenticationcel.NewDefaultCompiler)}
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	c, ok := a.GetObject().(*tenancyv1alpha1.WorkspaceAuthenticationConfiguration)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	all := &apiserver.AuthenticationConfiguration{}
	var errs field.ErrorList
	for i := range c.Spec.JWT {
		trusted := issuers.Trusted(&c.Spec.JWT[i])
		all.JWT = append(all.JWT, trusted)
		if url := trusted.Issuer.URL; url == p.external() || strings.HasPrefix(url, p.external()+"/") {
			errs = append(errs, field.Invalid(field.NewPath("jwt").Index(i).Child("issuer", "url"), url, "is this server, whose tokens are for ServiceAccounts"))
		}
	}
	errs = append(errs, validation.ValidateAuthenticationConfiguration(p.compiler(), all, nil)...)
	if len(errs) == 0 {
		return nil
	}
	for _, err := range errs {
		err.Field = "spec." + err.Field
	}
	return apierrors.NewInvalid(a.GetKind().GroupKind(), c.Name, errs)
}
