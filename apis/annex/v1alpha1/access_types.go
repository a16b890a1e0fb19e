package v1alpha1

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AccessExplanation explains whether a user may do something in the workspace of the request, and why. It is answered when it is created, and
// stored nowhere. Users may ask about themselves. To ask about others, they need the right to create SubjectAccessReviews.
//
// +genclient
// +genclient:nonNamespaced
// +genclient:onlyVerbs=create
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type AccessExplanation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says who wants to do what, as in a SubjectAccessReview. Without user and groups, it is about the user of the request.
	Spec authorizationv1.SubjectAccessReviewSpec `json:"spec"`

	// status is the answer.
	// +optional
	Status AccessExplanationStatus `json:"status,omitempty"`
}

// AccessExplanationStatus is the answer to an AccessExplanation.
type AccessExplanationStatus struct {
	// allowed says whether the user may do it.
	Allowed bool `json:"allowed"`

	// reason says in a sentence what allows it, or what is missing.
	Reason string `json:"reason"`

	// steps are all that have a say, in the order in which they are asked.
	// +optional
	// +listType=atomic
	Steps []AccessStep `json:"steps,omitempty"`

	// grants are the bindings that allow it, by themselves. Other steps may deny it nevertheless.
	// +optional
	// +listType=atomic
	Grants []AccessGrant `json:"grants,omitempty"`

	// entry are the bindings that let the user enter the workspace: with the verb access on the path /.
	// +optional
	// +listType=atomic
	Entry []AccessGrant `json:"entry,omitempty"`

	// truncated says that there are more grants than are listed.
	// +optional
	Truncated bool `json:"truncated,omitempty"`

	// evaluationError says what could not be found out.
	// +optional
	EvaluationError string `json:"evaluationError,omitempty"`
}

// AccessDecision is what a step decides.
// +enum
type AccessDecision string

const (
	// AccessAllowed means that the step allows it, or lets it pass.
	AccessAllowed AccessDecision = "Allowed"
	// AccessDenied means that the step denies it, whatever other steps decide.
	AccessDenied AccessDecision = "Denied"
	// AccessNoOpinion means that the step does not allow it, and leaves it to the others.
	AccessNoOpinion AccessDecision = "NoOpinion"
)

// AccessStep is one of the steps that decide about a request.
type AccessStep struct {
	// name of the step, such as RequiredGroups, Entry, MaximalPermissionPolicy or InheritedRBAC.
	Name string `json:"name"`

	// decision of the step.
	Decision AccessDecision `json:"decision"`

	// message says why, or what is missing.
	// +optional
	Message string `json:"message,omitempty"`
}

// AccessSource says where a binding comes from.
// +enum
type AccessSource string

const (
	// AccessSourceSystem is for bindings of the system, which count in all workspaces.
	AccessSourceSystem AccessSource = "System"
	// AccessSourceLocal is for bindings of the workspace itself.
	AccessSourceLocal AccessSource = "Local"
	// AccessSourceInherited is for bindings of a workspace above.
	AccessSourceInherited AccessSource = "Inherited"
)

// AccessGrant is a binding that allows something to a subject.
type AccessGrant struct {
	// source says where the binding comes from.
	Source AccessSource `json:"source"`

	// cluster is the logical cluster of an inherited binding. Like binding and role, it is empty if you may not read that binding.
	// +optional
	Cluster string `json:"cluster,omitempty"`

	// workspace is the path of that logical cluster.
	// +optional
	Workspace string `json:"workspace,omitempty"`

	// binding is the ClusterRoleBinding or RoleBinding.
	// +optional
	Binding *AccessObject `json:"binding,omitempty"`

	// role is the ClusterRole or Role that it refers to.
	// +optional
	Role *AccessObject `json:"role,omitempty"`

	// subject is whom the binding names.
	Subject AccessSubject `json:"subject"`
}

// AccessObject names an RBAC object.
type AccessObject struct {
	// kind is ClusterRoleBinding, RoleBinding, ClusterRole or Role.
	Kind string `json:"kind"`

	// namespace of the object, if it has one.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// name of the object.
	Name string `json:"name"`
}

// AccessSubject is a user, a group or a ServiceAccount.
type AccessSubject struct {
	rbacv1.Subject `json:",inline"`

	// cluster is the logical cluster of a ServiceAccount, or of a group of ServiceAccounts.
	// +optional
	Cluster string `json:"cluster,omitempty"`
}

// WhoCanReview lists who may do something in the workspace of the request. It is answered when it is created, and stored nowhere. Create requires
// permission, which administrators of the workspace have.
//
// +genclient
// +genclient:nonNamespaced
// +genclient:onlyVerbs=create
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WhoCanReview struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what it is about.
	Spec WhoCanReviewSpec `json:"spec"`

	// status is the answer.
	// +optional
	Status WhoCanReviewStatus `json:"status,omitempty"`
}

// WhoCanReviewSpec says what a WhoCanReview is about: either a resource or a path.
type WhoCanReviewSpec struct {
	// resourceAttributes describe a request for a resource.
	// +optional
	ResourceAttributes *authorizationv1.ResourceAttributes `json:"resourceAttributes,omitempty"`

	// nonResourceAttributes describe a request for a path.
	// +optional
	NonResourceAttributes *authorizationv1.NonResourceAttributes `json:"nonResourceAttributes,omitempty"`

	// limit is the most subjects that are listed, between 1 and 1000. Default: 250.
	// +optional
	Limit int32 `json:"limit,omitempty"`
}

// WhoCanReviewStatus is the answer to a WhoCanReview.
type WhoCanReviewStatus struct {
	// subjects are those whom a binding allows it, sorted by kind and name. Whoever is none of them, and in none of these groups, may not do it,
	// unless a note says otherwise.
	// +optional
	// +listType=atomic
	Subjects []WhoCanSubject `json:"subjects,omitempty"`

	// truncated says that there are more subjects than are listed.
	// +optional
	Truncated bool `json:"truncated,omitempty"`

	// notes say who else decides, in sentences.
	// +optional
	// +listType=atomic
	Notes []string `json:"notes,omitempty"`
}

// WhoCanSubject is somebody whom a binding allows something.
type WhoCanSubject struct {
	// subject is a user, a group or a ServiceAccount.
	Subject AccessSubject `json:"subject"`

	// allowed says whether an authenticated user who is this subject, and in no other group, may do it. If not, the message says what is missing,
	// such as the permission to enter the workspace, which a user may have by another group.
	Allowed bool `json:"allowed"`

	// message says what is missing.
	// +optional
	Message string `json:"message,omitempty"`

	// grants are the bindings that allow it.
	// +listType=atomic
	Grants []AccessGrant `json:"grants"`
}
