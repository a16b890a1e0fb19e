package schema

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// What a handler takes in bytes, measured: see TestSize_IsNotLessThanWhatAHandlerTakes.
const (
	versionBytes = 288 << 10
	nodeBytes    = 4 << 10  // of each property, item and alternative, in several forms
	ruleBytes    = 96 << 10 // of each CEL rule, with the environment that it is compiled for
	textFactor   = 4        // descriptions, enums and defaults are copied
	// clientBytes is for the three clients of a conversion webhook with their connections.
	clientBytes = 192 << 10
	// certificateFactor is for each byte of certificates, which each client reads.
	certificateFactor = 12
)

// size returns about how many bytes the handler of a definition takes once it has served a request. It is rather too much than too little.
func size(definition *apiextensionsv1.CustomResourceDefinition) int64 {
	total := int64(textFactor * definition.Size())
	if convertsByWebhook(definition) {
		total += clientBytes
		if hook := definition.Spec.Conversion.Webhook; hook != nil && hook.ClientConfig != nil {
			total += int64(certificateFactor * len(hook.ClientConfig.CABundle))
		}
	}
	if hasRules(definition) {
		// Those that only copy a field take little.
		rules := strings.Count(definition.Annotations[apisv1alpha2.AnnotationConversionKey], `"transformation":`)
		total += int64(ruleBytes * rules)
	}
	for i := range definition.Spec.Versions {
		total += versionBytes
		if v := definition.Spec.Versions[i].Schema; v != nil {
			total += schemaSize(v.OpenAPIV3Schema)
		}
	}
	return total
}

func schemaSize(s *apiextensionsv1.JSONSchemaProps) int64 {
	if s == nil {
		return 0
	}
	total := int64(nodeBytes + ruleBytes*len(s.XValidations))
	for _, property := range s.Properties {
		total += schemaSize(&property)
	}
	for _, branches := range [][]apiextensionsv1.JSONSchemaProps{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range branches {
			total += schemaSize(&branches[i])
		}
	}
	total += schemaSize(s.Not)
	if s.Items != nil {
		total += schemaSize(s.Items.Schema)
	}
	if s.AdditionalProperties != nil {
		total += schemaSize(s.AdditionalProperties.Schema)
	}
	return total
}
