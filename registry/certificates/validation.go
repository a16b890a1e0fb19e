package certificates

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/registry/kinds"
)

const (
	// unknownSigner is the signer of requests that named none, in a version that is not served any more.
	unknownSigner = "kubernetes.io/legacy-unknown"
	minSeconds    = 600
)

// usages are those that a request may name, sorted.
var usages = []string{
	string(certificatesv1.UsageAny), string(certificatesv1.UsageCertSign), string(certificatesv1.UsageClientAuth), string(certificatesv1.UsageCodeSigning),
	string(certificatesv1.UsageContentCommitment), string(certificatesv1.UsageCRLSign), string(certificatesv1.UsageDataEncipherment),
	string(certificatesv1.UsageDecipherOnly), string(certificatesv1.UsageDigitalSignature), string(certificatesv1.UsageEmailProtection),
	string(certificatesv1.UsageEncipherOnly), string(certificatesv1.UsageIPsecEndSystem), string(certificatesv1.UsageIPsecTunnel),
	string(certificatesv1.UsageIPsecUser), string(certificatesv1.UsageKeyAgreement), string(certificatesv1.UsageKeyEncipherment),
	string(certificatesv1.UsageMicrosoftSGC), string(certificatesv1.UsageNetscapeSGC), string(certificatesv1.UsageOCSPSigning),
	string(certificatesv1.UsageSMIME), string(certificatesv1.UsageServerAuth), string(certificatesv1.UsageSigning), string(certificatesv1.UsageTimestamping),
}

// rights are what an update may do, which depends on the subresource.
type rights struct{ approve, sign bool }

func validateCreate(csr *certificatesv1.CertificateSigningRequest) field.ErrorList {
	errs := validateFinalizers(csr)
	errs = append(errs, validateSpec(&csr.Spec, field.NewPath("spec"))...)
	errs = append(errs, validateStatus(&csr.Status, nil)...)
	return append(errs, validateDecision(&csr.Status, nil)...)
}

// validateUpdate checks an update, whose metadata have been validated before.
func validateUpdate(csr, old *certificatesv1.CertificateSigningRequest, may rights) field.ErrorList {
	errs := validateFinalizers(csr)
	errs = append(errs, validateSpec(&csr.Spec, field.NewPath("spec"))...)
	errs = append(errs, validateStatus(&csr.Status, &old.Status)...)
	errs = append(errs, validateSteps(csr, old, may)...)
	return append(errs, validateDecision(&csr.Status, &old.Status)...)
}

func validateFinalizers(csr *certificatesv1.CertificateSigningRequest) field.ErrorList {
	var errs field.ErrorList
	for i, finalizer := range csr.Finalizers {
		errs = append(errs, kinds.ValidateStandardFinalizer(finalizer, field.NewPath("metadata", "finalizers").Index(i))...)
	}
	return errs
}

func validateSpec(spec *certificatesv1.CertificateSigningRequestSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Request) > maxRequestBytes {
		errs = append(errs, field.TooLong(path.Child("request"), "", maxRequestBytes))
	} else if err := checkRequest(spec.Request); err != nil {
		errs = append(errs, field.Invalid(path.Child("request"), spec.Request, err.Error()))
	}
	errs = append(errs, validateUsages(spec.Usages, path.Child("usages"))...)
	if spec.SignerName == unknownSigner {
		errs = append(errs, field.Invalid(path.Child("signerName"), spec.SignerName, "the legacy signerName is not allowed via this API version"))
	} else {
		errs = append(errs, validateSigner(spec.SignerName, path.Child("signerName"))...)
	}
	if seconds := spec.ExpirationSeconds; seconds != nil && *seconds < minSeconds {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), *seconds, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return errs
}

func validateUsages(all []certificatesv1.KeyUsage, path *field.Path) field.ErrorList {
	switch {
	case len(all) == 0:
		return field.ErrorList{field.Required(path, "")}
	case len(all) > maxUsages:
		return field.ErrorList{field.TooMany(path, len(all), maxUsages)}
	}
	var errs field.ErrorList
	for i, usage := range all {
		if !slices.Contains(usages, string(usage)) {
			errs = append(errs, field.NotSupported(path.Index(i), usage, usages))
		}
	}
	seen := map[certificatesv1.KeyUsage]bool{}
	for i, usage := range all {
		if seen[usage] {
			errs = append(errs, field.Duplicate(path.Index(i), usage))
		}
		seen[usage] = true
	}
	return errs
}

// validateSigner refuses what is not a domain and a path, such as example.com/team.widgets.
func validateSigner(signer string, path *field.Path) field.ErrorList {
	if signer == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	domain, rest, ok := strings.Cut(signer, "/")
	if !ok || strings.Contains(rest, "/") {
		return field.ErrorList{field.Invalid(path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	var errs field.ErrorList
	if len(domain) > validation.DNS1123SubdomainMaxLength {
		errs = append(errs, field.TooLong(path, "", validation.DNS1123SubdomainMaxLength))
	}
	errs = append(errs, validateLabels(domain, validation.IsDNS1123Label, path)...)
	if !strings.Contains(domain, ".") {
		errs = append(errs, field.Invalid(path, domain, "should be a domain with at least two segments separated by dots"))
	}
	errs = append(errs, validateLabels(rest, validation.IsDNS1123Subdomain, path)...)
	// The path has room for a namespace and a name.
	longest := 2*validation.DNS1123SubdomainMaxLength + validation.DNS1123LabelMaxLength + 2
	if len(signer) > longest {
		errs = append(errs, field.TooLong(path, "", longest))
	}
	return errs
}

// validateLabels returns what is wrong with the first part that is, of those that dots separate.
func validateLabels(text string, check func(string) []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for label := range strings.SplitSeq(text, ".") {
		for _, wrong := range check(label) {
			errs = append(errs, field.Invalid(path, text, fmt.Sprintf("validating label %q: %s", label, wrong)))
		}
		if len(errs) > 0 {
			break
		}
	}
	return errs
}

// validateStatus checks a status that was old before; nil for a new object.
func validateStatus(status, old *certificatesv1.CertificateSigningRequestStatus) field.ErrorList {
	path := field.NewPath("status")
	errs := validateConditions(status.Conditions, path.Child("conditions"))
	if old == nil || !bytes.Equal(status.Certificate, old.Certificate) {
		if err := checkCertificate(status.Certificate); err != nil {
			errs = append(errs, field.Invalid(path.Child("certificate"), "<certificate data>", err.Error()))
		}
	}
	return errs
}

// validateDecision refuses a request that is both approved and denied, unless it was so before. A stock server generates this check, and reports
// it after all others.
func validateDecision(status, old *certificatesv1.CertificateSigningRequestStatus) field.ErrorList {
	op := operation.Operation{Type: operation.Create}
	var before []certificatesv1.CertificateSigningRequestCondition
	if old != nil {
		op.Type, before = operation.Update, old.Conditions
	}
	return validate.ZeroOrOneOfUnion(context.Background(), op, field.NewPath("status", "conditions"), status.Conditions, before, decisions,
		decided(certificatesv1.CertificateApproved), decided(certificatesv1.CertificateDenied))
}

// decisions are the conditions of which a request has at most one.
var decisions = validate.NewUnionMembership(validate.NewUnionMember(`conditions[{"type": "Approved"}]`), validate.NewUnionMember(`conditions[{"type": "Denied"}]`))

func decided(t certificatesv1.RequestConditionType) func([]certificatesv1.CertificateSigningRequestCondition) bool {
	return func(all []certificatesv1.CertificateSigningRequestCondition) bool {
		return slices.ContainsFunc(all, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == t })
	}
}

func validateConditions(conditions []certificatesv1.CertificateSigningRequestCondition, path *field.Path) field.ErrorList {
	if len(conditions) > maxConditions {
		return field.ErrorList{field.TooMany(path, len(conditions), maxConditions)}
	}
	var errs field.ErrorList
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range conditions {
		if c.Type == "" {
			errs = append(errs, field.Required(path.Index(i).Child("type"), ""))
		}
		allowed := []string{string(corev1.ConditionFalse), string(corev1.ConditionTrue), string(corev1.ConditionUnknown)}
		if isFinal(c.Type) {
			allowed = []string{string(corev1.ConditionTrue)}
		}
		switch {
		case c.Status == "":
			errs = append(errs, field.Required(path.Index(i).Child("status"), ""))
		case !slices.Contains(allowed, string(c.Status)):
			errs = append(errs, field.NotSupported(path.Index(i).Child("status"), c.Status, allowed))
		}
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(path.Index(i).Child("type"), c.Type))
		}
		seen[c.Type] = true
	}
	return errs
}

// isFinal reports whether conditions of a type are true, and stay.
func isFinal(t certificatesv1.RequestConditionType) bool { return slices.Contains(final, t) }

var final = []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed}

// validateSteps checks what an update may change.
func validateSteps(csr, old *certificatesv1.CertificateSigningRequest, may rights) field.ErrorList {
	conditions, certificate := field.NewPath("status", "conditions"), field.NewPath("status", "certificate")
	var errs field.ErrorList
	for _, t := range final {
		if len(ofType(csr, t)) < len(ofType(old, t)) {
			errs = append(errs, field.Forbidden(conditions, fmt.Sprintf("updates may not remove a condition of type %q", t)))
		}
	}
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		now, before := selected(csr, t), selected(old, t)
		switch {
		case may.approve || len(now) < len(before):
		case len(now) > len(before):
			errs = append(errs, field.Forbidden(conditions, fmt.Sprintf("updates may not add a condition of type %q", t)))
		case !apiequality.Semantic.DeepEqual(now, before):
			errs = append(errs, field.Forbidden(conditions, fmt.Sprintf("updates may not modify a condition of type %q", t)))
		}
	}
	switch {
	case bytes.Equal(csr.Status.Certificate, old.Status.Certificate):
	case !may.sign:
		errs = append(errs, field.Forbidden(certificate, "updates may not set certificate content"))
	case len(old.Status.Certificate) > 0:
		errs = append(errs, field.Forbidden(certificate, "updates may not modify existing certificate content"))
	}
	return errs
}

func selected(csr *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
	var found []certificatesv1.CertificateSigningRequestCondition
	for _, i := range ofType(csr, t) {
		found = append(found, csr.Status.Conditions[i])
	}
	return found
}
