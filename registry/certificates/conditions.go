package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ofType returns the indices of the conditions of a type.
func ofType(csr *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) []int {
	var found []int
	for i := range csr.Status.Conditions {
		if csr.Status.Conditions[i].Type == t {
			found = append(found, i)
		}
	}
	return found
}

// keepApproval undoes changes of what a request was approved or denied with. It leaves conditions alone that were added or removed, which
// validation refuses.
func keepApproval(csr, old *certificatesv1.CertificateSigningRequest) {
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		now, before := ofType(csr, t), ofType(old, t)
		if len(now) != len(before) {
			continue
		}
		for i := range now {
			csr.Status.Conditions[now[i]] = old.Status.Conditions[before[i]]
		}
	}
}

// setTimes fills in the times of conditions that have none. A condition that was there with the same status keeps when that began.
func setTimes(csr, old *certificatesv1.CertificateSigningRequest, now metav1.Time) {
	for i := range csr.Status.Conditions {
		c := &csr.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		for _, before := range old.Status.Conditions {
			if before.Type == c.Type && before.Status == c.Status && !before.LastTransitionTime.IsZero() {
				c.LastTransitionTime = before.LastTransitionTime
				break
			}
		}
	}
}
