package records

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"

	"github.com/annex-dev/annex/server/tracing"
)

// Every example of the documentation is one that the server takes.
func TestDocument_ExamplesLoad(t *testing.T) {
	document, err := os.ReadFile("../../docs/records.md")
	if err != nil {
		t.Fatal(err)
	}
	loaded := map[string]int{}
	for i, block := range strings.Split(string(document), "```yaml\n") {
		example, _, ok := strings.Cut(block, "```")
		if i == 0 || !ok {
			continue
		}
		file := write(t, "example.yaml", example)
		_, kind, _ := strings.Cut(example, "kind: ")
		kind, _, _ = strings.Cut(kind, "\n")
		switch loaded[kind]++; kind {
		case "Policy":
			_, err = policy.LoadPolicyFromFile(file)
		case "EncryptionConfiguration":
			_, err = encryptionconfig.LoadEncryptionConfig(t.Context(), file, true, "test")
		case "TracingConfiguration":
			_, err = tracing.New(t.Context(), file, "test")
		default:
			t.Fatalf("an example of kind %q", kind)
		}
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if loaded["Policy"] != 1 || loaded["EncryptionConfiguration"] != 2 || loaded["TracingConfiguration"] != 1 {
		t.Errorf("loaded %v", loaded)
	}
}
