package sharing

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	rbacpolicy "github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/schemas/publish"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// publishPlugin decides who may write a CustomResourceDefinition that is published. A controller writes the schema and the export, with the
// rights of the server. So whoever makes it do so needs the rights to write them.
type publishPlugin struct {
	*admission.Handler
	authorizer request.Authorizer
}

var _ admission.ValidationInterface = &publishPlugin{}

// Validate implements admission.ValidationInterface.
func (p *publishPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !request.Is(a, crds) {
		return nil
	}
	definition, ok := a.GetObject().(*apiextensions.CustomResourceDefinition)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("a %T is not a CustomResourceDefinition", a.GetObject()))
	}
	export, published := publish.ExportOf(definition.Annotations, definition.Spec.Group)
	if !published || publishesTheSame(a.GetOldObject(), definition) {
		return nil
	}
	if err := publishable(definition, export); err != nil {
		return err
	}
	if request.IsMaster(a) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	if rbacpolicy.Warranted(ctx, cluster) {
		return admission.NewForbidden(a, fmt.Errorf("annotation %s cannot be used by a permission claim", publish.AnnotationKey))
	}
	schemas := apisv1alpha1.SchemeGroupVersion.WithResource(schemas.Resource)
	exports := apisv1alpha2.SchemeGroupVersion.WithResource(apiExports.Resource)
	for _, needed := range []struct {
		verb     string
		resource schema.GroupVersionResource
		name     string
	}{{"create", schemas, ""}, {"delete", schemas, ""}, {"create", exports, ""}, {"update", exports, export}} {
		allowed, err := request.Allowed(ctx, p.authorizer, a, cluster, cluster, needed.verb, needed.resource, needed.name)
		if err != nil {
			return apistatus.Internal(err)
		}
		if !allowed {
			return admission.NewForbidden(a, fmt.Errorf("annotation %s: the user cannot %s %s in this workspace", publish.AnnotationKey, needed.verb, needed.resource.GroupResource()))
		}
	}
	return nil
}

// publishesTheSame reports whether definition publishes what old does.
func publishesTheSame(old any, definition *apiextensions.CustomResourceDefinition) bool {
	before, ok := old.(*apiextensions.CustomResourceDefinition)
	if !ok || before == nil {
		return false
	}
	was, ok := before.Annotations[publish.AnnotationKey]
	const approval, breaking = apiextensionsv1.KubeAPIApprovedAnnotation, annexv1alpha1.AllowBreakingChangeAnnotationKey
	return ok && was == definition.Annotations[publish.AnnotationKey] && before.Annotations[approval] == definition.Annotations[approval] &&
		before.Annotations[breaking] == definition.Annotations[breaking] &&
		apiequality.Semantic.DeepEqual(before.Spec, definition.Spec)
}

// publishable returns an Invalid error if definition cannot be published by the export.
func publishable(definition *apiextensions.CustomResourceDefinition, export string) error {
	at := field.NewPath("metadata", "annotations").Key(publish.AnnotationKey)
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Subdomain(export) {
		errs = append(errs, field.Invalid(at, export, "must be the name of an APIExport: "+msg))
	}
	if c := definition.Spec.Conversion; c != nil && c.Strategy == apiextensions.WebhookConverter && (c.WebhookClientConfig == nil || c.WebhookClientConfig.URL == nil) {
		errs = append(errs, field.Forbidden(at, "a CustomResourceDefinition that a service converts cannot be published: give the webhook a url"))
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: crds.Group, Kind: "CustomResourceDefinition"}, definition.Name, errs)
}
