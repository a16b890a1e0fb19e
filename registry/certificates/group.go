package certificates

import (
	"context"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of certificates.k8s.io. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	return kinds.NewGroup(certificatesv1.GroupName, s, getter, requests())
}

func requests() *kinds.Kind[certificatesv1.CertificateSigningRequest, *certificatesv1.CertificateSigningRequest] {
	spec, status := certificatesv1beta1.CertificateSigningRequestSpec{}.SwaggerDoc(), certificatesv1beta1.CertificateSigningRequestStatus{}.SwaggerDoc()
	return &kinds.Kind[certificatesv1.CertificateSigningRequest, *certificatesv1.CertificateSigningRequest]{
		Columns: []metav1.TableColumnDefinition{
			kinds.NameColumn(),
			kinds.AgeColumn(),
			{Name: "SignerName", Type: "string", Description: spec["signerName"]},
			{Name: "Requestor", Type: "string", Description: spec["request"]},
			{Name: "RequestedDuration", Type: "string", Description: spec["expirationSeconds"]},
			{Name: "Condition", Type: "string", Description: status["conditions"]},
		},
		Cells: row,
		Fields: func(csr *certificatesv1.CertificateSigningRequest) fields.Set {
			return fields.Set{"spec.signerName": csr.Spec.SignerName}
		},
		NoGeneration: true,
		// The user who creates a request is part of it, and nobody changes what was asked for.
		PrepareForUser: func(ctx context.Context, csr, old *certificatesv1.CertificateSigningRequest) {
			if old != nil {
				csr.Spec = old.Spec
				return
			}
			setUser(ctx, &csr.Spec)
		},
		Reset:          [][]any{{"spec"}},
		Name:           name,
		ValidateCreate: validateCreate,
		ValidateUpdate: func(csr, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
			return validateUpdate(csr, old, rights{})
		},
		Parts: []kinds.Part[*certificatesv1.CertificateSigningRequest]{
			{
				Name: "approval",
				Keep: func(csr, old *certificatesv1.CertificateSigningRequest) {
					setTimes(csr, old, metav1.Now())
					conditions := csr.Status.Conditions
					csr.Spec, csr.Status = old.Spec, old.Status
					csr.Status.Conditions = conditions
				},
				Reset: [][]any{{"spec"}, {"status", "certificate"}},
				ValidateUpdate: func(csr, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
					return validateUpdate(csr, old, rights{approve: true})
				},
			},
			{
				Name: "status",
				Keep: func(csr, old *certificatesv1.CertificateSigningRequest) {
					csr.Spec = old.Spec
					keepApproval(csr, old)
					setTimes(csr, old, metav1.Now())
				},
				Reset: [][]any{{"spec"}, {"status", "conditions"}},
				ValidateUpdate: func(csr, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
					return validateUpdate(csr, old, rights{sign: true})
				},
			},
		},
	}
}

// name takes everything that can be a segment of a path. In storage, a zero byte ends what is written before an object.
func name(name string, _ bool) []string {
	if strings.Contains(name, "\x00") {
		return []string{"may not contain a zero byte"}
	}
	return nil
}

// setUser writes into spec who asks, whatever the request says.
func setUser(ctx context.Context, spec *certificatesv1.CertificateSigningRequestSpec) {
	spec.Username, spec.UID, spec.Groups, spec.Extra = "", "", nil, nil
	user, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return
	}
	spec.Username, spec.UID, spec.Groups = user.GetName(), user.GetUID(), user.GetGroups()
	for key, values := range user.GetExtra() {
		if spec.Extra == nil {
			spec.Extra = map[string]certificatesv1.ExtraValue{}
		}
		spec.Extra[key] = values
	}
}

func row(csr *certificatesv1.CertificateSigningRequest) []any {
	signer, life := "<none>", "<none>"
	if csr.Spec.SignerName != "" {
		signer = csr.Spec.SignerName
	}
	if seconds := csr.Spec.ExpirationSeconds; seconds != nil {
		life = duration.HumanDuration(time.Duration(*seconds) * time.Second)
	}
	return []any{csr.Name, kinds.Age(csr.CreationTimestamp), signer, csr.Spec.Username, life, state(csr)}
}

// state says how far a request is, such as Approved,Issued.
func state(csr *certificatesv1.CertificateSigningRequest) string {
	has := func(t certificatesv1.RequestConditionType) bool { return len(ofType(csr, t)) > 0 }
	words := []string{"Pending"}
	switch {
	case has(certificatesv1.CertificateDenied):
		words[0] = "Denied"
	case has(certificatesv1.CertificateApproved):
		words[0] = "Approved"
	}
	if has(certificatesv1.CertificateFailed) {
		words = append(words, "Failed")
	}
	if len(csr.Status.Certificate) > 0 {
		words = append(words, "Issued")
	}
	return strings.Join(words, ",")
}
