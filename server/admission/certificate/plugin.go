package certificate

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/registry/certificates"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

var (
	requests = certificatesv1.Resource("certificatesigningrequests")
	signers  = certificatesv1.Resource("signers").WithVersion("*")
)

type plugin struct {
	*admission.Handler
	authorizer request.Authorizer
}

var _ admission.ValidationInterface = &plugin{}

// New returns the plugin, which asks authorizer.
func New(authorizer request.Authorizer) admission.Interface {
	return &plugin{admission.NewHandler(admission.Create, admission.Update), authorizer}
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != requests {
		return nil
	}
	csr, ok := a.GetObject().(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("expected type CertificateSigningRequest, got: %T", a.GetObject()))
	}
	if a.GetOperation() == admission.Create {
		return restrict(a, csr)
	}
	// The signer is that of the stored object: an update cannot change it, and must not pretend to.
	old, ok := a.GetOldObject().(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("expected type CertificateSigningRequest, got: %T", a.GetOldObject()))
	}
	switch a.GetSubresource() {
	case "approval":
		return p.need(ctx, a, "approve", old.Spec.SignerName)
	case "status":
		if bytes.Equal(csr.Status.Certificate, old.Status.Certificate) && apiequality.Semantic.DeepEqual(csr.Status.Conditions, old.Status.Conditions) {
			return nil
		}
		return p.need(ctx, a, "sign", old.Spec.SignerName)
	}
	return nil
}

// need returns a Forbidden error unless the user may perform verb on the signer or on all signers of its domain.
func (p *plugin) need(ctx context.Context, a admission.Attributes, verb, signer string) error {
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		allowed, err := request.Allowed(ctx, p.authorizer, a, cluster, cluster, verb, signers, name)
		if err != nil {
			return apistatus.Internal(err)
		}
		if allowed {
			return nil
		}
	}
	return admission.NewForbidden(a, fmt.Errorf("user not permitted to %s requests with signerName %q", verb, signer))
}

// restrict refuses requests for certificates of administrators, whoever signs them.
func restrict(a admission.Attributes, csr *certificatesv1.CertificateSigningRequest) error {
	if a.GetSubresource() != "" || csr.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	parsed, err := certificates.Parse(csr.Spec.Request)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("failed to parse CSR: %w", err))
	}
	if slices.Contains(parsed.Subject.Organization, user.SystemPrivilegedGroup) {
		return admission.NewForbidden(a, fmt.Errorf("use of %s signer with %s group is not allowed", certificatesv1.KubeAPIServerClientSignerName, user.SystemPrivilegedGroup))
	}
	return nil
}
