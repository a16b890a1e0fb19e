package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkspaceAuthenticationConfiguration lists issuers of OpenID Connect tokens. A WorkspaceType in the same workspace names it in
// spec.authenticationConfigurations. The tokens are then accepted in workspaces of that type, and nowhere else.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceAuthenticationConfiguration struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec lists the issuers.
	// +optional
	Spec WorkspaceAuthenticationConfigurationSpec `json:"spec,omitempty"`
}

// WorkspaceAuthenticationConfigurationSpec lists issuers.
type WorkspaceAuthenticationConfigurationSpec struct {
	// jwt are the issuers, with how users are made of the claims in their tokens. Each issuer is listed once.
	// +optional
	// +listType=atomic
	JWT []JWTAuthenticator `json:"jwt,omitempty"`
}

// JWTAuthenticator is an issuer of JSON Web Tokens, and how users are made of their claims.
type JWTAuthenticator struct {
	// issuer is who signs the tokens.
	// +required
	Issuer Issuer `json:"issuer"`
	// claimValidationRules must all hold for the claims of a token.
	// +optional
	// +listType=atomic
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules,omitempty"`
	// claimMappings say how a user is made of claims.
	// +required
	ClaimMappings ClaimMappings `json:"claimMappings"`
	// userValidationRules must all hold for the user.
	// +optional
	// +listType=atomic
	UserValidationRules []UserValidationRule `json:"userValidationRules,omitempty"`
}

// AudienceMatchPolicyType says how the audiences of a token are compared.
// +enum
type AudienceMatchPolicyType string

// AudienceMatchPolicyMatchAny means that one of the audiences in a token must be one of the configured audiences.
const AudienceMatchPolicyMatchAny AudienceMatchPolicyType = "MatchAny"

// Issuer is an issuer of tokens.
type Issuer struct {
	// url is the issuer as it is in the claim iss of tokens: an https URL without a query.
	// +required
	URL string `json:"url"`
	// discoveryURL is where the document of OpenID Connect discovery is, if it is not below url.
	// +optional
	DiscoveryURL string `json:"discoveryURL,omitempty"`
	// certificateAuthority verifies the server of the issuer, in PEM format. If not set, it is the CAs of the machine.
	// +optional
	CertificateAuthority string `json:"certificateAuthority,omitempty"`
	// audiences are those of which a token must have one.
	// +required
	// +listType=set
	Audiences []string `json:"audiences"`
	// audienceMatchPolicy must be MatchAny if there are several audiences.
	// +optional
	AudienceMatchPolicy AudienceMatchPolicyType `json:"audienceMatchPolicy,omitempty"`
}

// ClaimMappings say how a user is made of claims.
type ClaimMappings struct {
	// username makes the name of the user. A name that begins with system: is refused.
	// +required
	Username PrefixedClaimOrExpression `json:"username"`
	// groups makes the groups of the user. Groups that begin with system: are dropped.
	// +optional
	Groups PrefixedClaimOrExpression `json:"groups,omitempty"`
	// uid makes the UID of the user.
	// +optional
	UID ClaimOrExpression `json:"uid,omitempty"`
	// extra makes extra fields of the user. Keys that contain kcp.io are dropped.
	// +optional
	// +listType=map
	// +listMapKey=key
	Extra []ExtraMapping `json:"extra,omitempty"`
}

// PrefixedClaimOrExpression is a claim with a prefix before its value, or a CEL expression over claims.
type PrefixedClaimOrExpression struct {
	// claim is the name of a claim.
	// +optional
	Claim string `json:"claim,omitempty"`
	// prefix is put before the value of the claim.
	// +optional
	Prefix string `json:"prefix,omitempty"`
	// expression is a CEL expression over claims, in place of claim.
	// +optional
	Expression string `json:"expression,omitempty"`
}

// ClaimOrExpression is a claim, or a CEL expression over claims.
type ClaimOrExpression struct {
	// claim is the name of a claim.
	// +optional
	Claim string `json:"claim,omitempty"`
	// expression is a CEL expression over claims, in place of claim.
	// +optional
	Expression string `json:"expression,omitempty"`
}

// ExtraMapping makes one extra field.
type ExtraMapping struct {
	// key is the key of the field: a domain and a path, in lower case.
	// +required
	Key string `json:"key"`
	// valueExpression is a CEL expression over claims. It returns a string or a list of strings.
	// +required
	ValueExpression string `json:"valueExpression"`
}

// ClaimValidationRule is a rule for claims: a claim with its required value, or a CEL expression.
type ClaimValidationRule struct {
	// claim is the name of a claim.
	// +optional
	Claim string `json:"claim,omitempty"`
	// requiredValue is the value that the claim must have.
	// +optional
	RequiredValue string `json:"requiredValue,omitempty"`
	// expression is a CEL expression over claims that must be true, in place of claim.
	// +optional
	Expression string `json:"expression,omitempty"`
	// message is the reason in the log of the server if expression is false.
	// +optional
	Message string `json:"message,omitempty"`
}

// UserValidationRule is a rule for users.
type UserValidationRule struct {
	// expression is a CEL expression over user that must be true.
	// +required
	Expression string `json:"expression"`
	// message is the reason in the log of the server if expression is false.
	// +required
	Message string `json:"message"`
}

// WorkspaceAuthenticationConfigurationList is a list of WorkspaceAuthenticationConfigurations.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceAuthenticationConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []WorkspaceAuthenticationConfiguration `json:"items"`
}
