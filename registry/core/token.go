package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
)

const (
	// A token is valid for at least ten minutes and at most 2^32 seconds.
	minTokenSeconds = 10 * 60
	maxTokenSeconds = 1 << 32
	// maxAudienceBytes bounds the audiences, because servers do not accept tokens of any length.
	maxAudienceBytes = 16 << 10
)

var tokenRequestKind = authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")

// Token is a token to issue.
type Token struct {
	Cluster logicalcluster.Name
	Account *corev1.ServiceAccount
	// Secret ends the token with its deletion; nil for none.
	Secret    *corev1.Secret
	Audiences []string
	Issued    time.Time
	Life      time.Duration
}

// TokenIssuer signs tokens.
type TokenIssuer interface {
	// Audience returns the audience of tokens for the API of a cluster.
	Audience(cluster logicalcluster.Name) string
	// Issue returns a signed token, and the name of this credential in audit logs.
	Issue(ctx context.Context, token Token) (signed, credential string, err error)
}

// ServeTokens adds serviceaccounts/token to g. A token is valid for at most maxLife; 0 stands for no limit.
func ServeTokens(g *group.Group, issuer TokenIssuer, maxLife time.Duration) {
	served := g.Versions[version]
	served["serviceaccounts/token"] = &tokenREST{
		accounts: served["serviceaccounts"].(rest.Getter), secrets: served["secrets"].(rest.Getter),
		issuer: issuer, maxSeconds: int64(maxLife / time.Second), now: time.Now,
	}
}

// tokenREST answers TokenRequests for a ServiceAccount. Nothing is stored.
type tokenREST struct {
	accounts, secrets rest.Getter
	issuer            TokenIssuer
	maxSeconds        int64
	now               func() time.Time
}

var _ interface {
	rest.NamedCreater
	rest.GroupVersionKindProvider
	rest.SubresourceObjectMetaPreserver
} = &tokenREST{}

// New implements rest.Storage.
func (r *tokenREST) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// Destroy implements rest.Storage.
func (r *tokenREST) Destroy() {}

// GroupVersionKind implements rest.GroupVersionKindProvider.
func (r *tokenREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return tokenRequestKind
}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate implements rest.SubresourceObjectMetaPreserver: the UID in a request says which
// account is meant.
func (r *tokenREST) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create implements rest.NamedCreater.
func (r *tokenREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	request, ok := obj.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a TokenRequest: %T", obj))
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok || cluster.IsSystem() {
		return nil, apierrors.NewBadRequest("the server's own clusters have no tokens: name a workspace")
	}
	account, err := r.account(ctx, name, request)
	if err != nil {
		return nil, err
	}
	now := r.now()
	request.Name, request.Namespace, request.UID = account.Name, account.Namespace, account.UID
	request.CreationTimestamp = metav1.NewTime(now)
	request.Status = authenticationv1.TokenRequestStatus{}
	if len(request.Spec.Audiences) == 0 {
		request.Spec.Audiences = []string{r.issuer.Audience(cluster)}
	}
	if errs := validateTokenRequest(request); len(errs) > 0 {
		return nil, apierrors.NewInvalid(tokenRequestKind.GroupKind(), "", errs)
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	secret, err := r.bound(ctx, request.Spec.BoundObjectRef)
	if err != nil {
		return nil, err
	}
	seconds := *request.Spec.ExpirationSeconds
	if r.maxSeconds > 0 && seconds > r.maxSeconds {
		warning.AddWarning(ctx, "", fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", seconds, r.maxSeconds))
		seconds = r.maxSeconds
	}
	out := request.DeepCopy()
	out.Spec.ExpirationSeconds = &seconds
	life := time.Duration(seconds) * time.Second
	signed, credential, err := r.issuer.Issue(ctx, Token{
		Cluster: cluster, Account: account, Secret: secret, Audiences: request.Spec.Audiences, Issued: now, Life: life,
	})
	if err != nil {
		return nil, internal(fmt.Errorf("issuing a token: %w", err))
	}
	out.Status = authenticationv1.TokenRequestStatus{Token: signed, ExpirationTimestamp: metav1.NewTime(now.Add(life))}
	audit.AddAuditAnnotation(ctx, serviceaccount.IssuedCredentialIDAuditAnnotationKey, credential)
	return out, nil
}

// account returns the ServiceAccount called name if it is the one that request means.
func (r *tokenREST) account(ctx context.Context, name string, request *authenticationv1.TokenRequest) (*corev1.ServiceAccount, error) {
	namespace := genericapirequest.NamespaceValue(ctx)
	metadata := field.NewPath("metadata")
	switch {
	case request.Name != "" && request.Name != name:
		return nil, apierrors.NewInvalid(tokenRequestKind.GroupKind(), name, field.ErrorList{
			field.Invalid(metadata.Child("name"), request.Name, "must match the service account name if specified"),
		})
	case request.Namespace != "" && request.Namespace != namespace:
		return nil, apierrors.NewInvalid(tokenRequestKind.GroupKind(), name, field.ErrorList{
			field.Invalid(metadata.Child("namespace"), request.Namespace, "must match the service account namespace if specified"),
		})
	}
	found, err := r.accounts.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	account, ok := found.(*corev1.ServiceAccount)
	if !ok {
		return nil, apierrors.NewInternalError(fmt.Errorf("the ServiceAccount is a %T", found))
	}
	if request.UID != "" && request.UID != account.UID {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: tokenRequestKind.Group, Resource: tokenRequestKind.Kind}, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", request.UID, account.UID))
	}
	return account, nil
}

// bound returns the Secret that a token depends on; nil if it depends on nothing.
func (r *tokenREST) bound(ctx context.Context, ref *authenticationv1.BoundObjectReference) (*corev1.Secret, error) {
	if ref == nil {
		return nil, nil
	}
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	switch {
	case gvk.Group == corev1.GroupName && (gvk.Kind == "Pod" || gvk.Kind == "Node"):
		return nil, apierrors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s: a workspace has no pods and no nodes", gvk))
	case gvk.Group != corev1.GroupName || gvk.Kind != "Secret":
		return nil, apierrors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s", gvk))
	}
	found, err := r.secrets.Get(ctx, ref.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) { // the store names the resource of the request, which is for a ServiceAccount
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), ref.Name)
	}
	if err != nil {
		return nil, err
	}
	secret, ok := found.(*corev1.Secret)
	if !ok {
		return nil, apierrors.NewInternalError(fmt.Errorf("the Secret is a %T", found))
	}
	if ref.UID != "" && ref.UID != secret.UID {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	return secret, nil
}

// validateTokenRequest checks a request whose defaults are filled in.
func validateTokenRequest(request *authenticationv1.TokenRequest) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	switch seconds := request.Spec.ExpirationSeconds; {
	case seconds == nil:
		errs = append(errs, field.Required(spec.Child("expirationSeconds"), ""))
	case *seconds < minTokenSeconds:
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *seconds, "may not specify a duration less than 10 minutes"))
	case *seconds > maxTokenSeconds:
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	bytes := 0
	for _, audience := range request.Spec.Audiences {
		bytes += len(audience)
	}
	if bytes > maxAudienceBytes {
		errs = append(errs, field.TooLong(spec.Child("audiences"), "", maxAudienceBytes))
	}
	return errs
}

// internal returns an API status within err, or else 500.
func internal(err error) error {
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		return status
	}
	return apierrors.NewInternalError(err)
}
