package policy

import (
	"context"
	"fmt"
	"reflect"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// all stands for every name, namespace or resource in a question to the authorizer.
const all = "*"

// Rights returns the plugin that refuses policies and bindings with parameters that their user may not read. The server reads
// parameters with its own rights, and a policy can show them in a message.
func (p *Plugins) Rights() admission.ValidationInterface {
	return &rights{admission.NewHandler(admission.Create, admission.Update), p}
}

type rights struct {
	*admission.Handler
	*Plugins
}

// asked is what of an object the user needs rights for.
type asked struct {
	kind *admissionregistrationv1.ParamKind
	ref  *admissionregistrationv1.ParamRef
	// policy is that of a binding.
	policy string
}

func askedOf(obj any) asked {
	switch o := obj.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		return asked{kind: o.Spec.ParamKind}
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		return asked{kind: o.Spec.ParamKind}
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		return asked{ref: o.Spec.ParamRef, policy: o.Spec.PolicyName}
	case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
		return asked{ref: o.Spec.ParamRef, policy: o.Spec.PolicyName}
	}
	return asked{}
}

// Validate implements admission.ValidationInterface.
func (r *rights) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != admissionregistrationv1.GroupName || a.GetSubresource() != "" {
		return nil
	}
	now := askedOf(a.GetObject())
	if now.kind == nil && now.ref == nil || a.GetOldObject() != nil && reflect.DeepEqual(now, askedOf(a.GetOldObject())) {
		return nil
	}
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	refusal, err := r.refuse(ctx, cluster, a, now)
	if err != nil {
		return apistatus.Internal(err)
	}
	if refusal != nil {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), a.GetName(), field.ErrorList{refusal})
	}
	return nil
}

// refuse returns what the user may not do; nil if everything is allowed.
func (r *rights) refuse(ctx context.Context, cluster logicalcluster.Name, a admission.Attributes, now asked) (*field.Error, error) {
	question := authorizer.AttributesRecord{User: a.GetUserInfo(), Verb: "get", Namespace: all, Name: all, ResourceRequest: true}
	at, what := field.NewPath("spec", "paramKind"), "all objects of the referenced paramKind"
	kind := now.kind
	if now.ref != nil {
		at, what = field.NewPath("spec", "paramRef"), "the object referenced by paramRef"
		var err error
		if kind, err = r.kindOf(ctx, cluster, a, now.policy); err != nil {
			return nil, err
		}
		if now.ref.Namespace != "" {
			question.Namespace = now.ref.Namespace
		}
		if now.ref.Name != "" {
			question.Name = now.ref.Name
		} else {
			question.Verb, what = "list", "the objects referenced by paramRef"
		}
	}
	question.APIGroup, question.APIVersion, question.Resource = all, all, all
	if kind != nil {
		// Of a kind that is not served yet, the user needs the right to everything.
		if param, err := r.param(ctx, cluster, kind, false); err == nil {
			question.APIGroup, question.APIVersion, question.Resource = param.resource.Group, param.resource.Version, param.resource.Resource
			if param.scope == scope(false) {
				question.Namespace = ""
			}
		}
	}
	decision, _, err := r.workspace.Of(ctx, cluster).Authorize(ctx, question)
	if err != nil || decision == authorizer.DecisionAllow {
		return nil, err
	}
	return field.Forbidden(at, fmt.Sprintf("user %q must have %q permission on %s", a.GetUserInfo().GetName(), question.Verb, what)), nil
}

// kindOf returns the paramKind of a policy; nil if there is no such policy, or if it has none.
func (r *rights) kindOf(ctx context.Context, cluster logicalcluster.Name, a admission.Attributes, name string) (*admissionregistrationv1.ParamKind, error) {
	key := client.Key{Cluster: cluster, Name: name}
	if a.GetResource().Resource == mutatingBindings.Resource {
		policy, err := client.FindNow[admissionregistrationv1.MutatingAdmissionPolicy](ctx, r.workspace.Cached, r.workspace.Live, mutatingPolicies, key)
		if err != nil || policy == nil {
			return nil, err
		}
		return policy.Spec.ParamKind, nil
	}
	policy, err := client.FindNow[admissionregistrationv1.ValidatingAdmissionPolicy](ctx, r.workspace.Cached, r.workspace.Live, validatingPolicies, key)
	if err != nil || policy == nil {
		return nil, err
	}
	return policy.Spec.ParamKind, nil
}
