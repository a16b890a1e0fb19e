package artifact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// The parts of an SPDX 2.3 document that we fill, in the names of its JSON schema.
type (
	spdxDocument struct {
		Version       string             `json:"spdxVersion"`
		DataLicense   string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		Creation      spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID               string            `json:"SPDXID"`
		Name             string            `json:"name"`
		Version          string            `json:"versionInfo,omitempty"`
		FileName         string            `json:"packageFileName,omitempty"`
		Purpose          string            `json:"primaryPackagePurpose"`
		DownloadLocation string            `json:"downloadLocation"`
		FilesAnalyzed    bool              `json:"filesAnalyzed"`
		Checksums        []spdxChecksum    `json:"checksums,omitempty"`
		SourceInfo       string            `json:"sourceInfo,omitempty"`
		LicenseConcluded string            `json:"licenseConcluded"`
		LicenseDeclared  string            `json:"licenseDeclared"`
		Copyright        string            `json:"copyrightText"`
		References       []spdxExternalRef `json:"externalRefs,omitempty"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxExternalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const (
	noAssertion    = "NOASSERTION"
	spdxDocumentID = "SPDXRef-DOCUMENT"
	spdxProgramID  = "SPDXRef-program"
)

// SBOM returns the SPDX document of b: the program, the standard library it is linked with, and every module of which it
// holds a package, with the version and the checksum of go.sum.
func SBOM(b *Binary, version string, created time.Time) ([]byte, error) {
	program := newSPDXPackage(spdxProgramID, b.Name(), version, b.Info.Main.Path)
	program.FileName = b.Name()
	program.Purpose = "APPLICATION"
	program.Checksums = []spdxChecksum{{Algorithm: "SHA256", Value: b.SHA256}}
	program.LicenseConcluded, program.LicenseDeclared = License, License

	goVersion := strings.TrimPrefix(b.Info.GoVersion, "go")
	library := newSPDXPackage("SPDXRef-stdlib", "stdlib", goVersion, "stdlib")
	library.LicenseDeclared = "BSD-3-Clause"

	document := spdxDocument{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: spdxDocumentID,
		Name:      fmt.Sprintf("%s %s for %s", b.Name(), version, b.Platform()),
		Namespace: ProjectURL + "/spdx/" + b.SHA256,
		Creation:  spdxCreation{Created: created.Format(time.RFC3339), Creators: []string{"Organization: annex-dev", "Tool: annex-release"}},
		Packages:  []spdxPackage{program, library},
	}
	for i, dep := range b.Info.Deps {
		module, err := modulePackage(fmt.Sprintf("SPDXRef-module-%d", i+1), dep)
		if err != nil {
			return nil, err
		}
		document.Packages = append(document.Packages, module)
	}
	document.Relationships = []spdxRelationship{{Element: spdxDocumentID, Type: "DESCRIBES", Related: spdxProgramID}}
	for _, p := range document.Packages[1:] {
		document.Relationships = append(document.Relationships, spdxRelationship{Element: spdxProgramID, Type: "DEPENDS_ON", Related: p.ID})
	}
	return json.MarshalIndent(document, "", " ")
}

// modulePackage describes a module that the program was built with: of a replaced one, the replacement.
func modulePackage(id string, dep *debug.Module) (spdxPackage, error) {
	if dep.Replace != nil {
		dep = dep.Replace
	}
	p := newSPDXPackage(id, dep.Path, dep.Version, dep.Path)
	if dep.Sum == "" { // a replacement by a folder, which nobody else can find
		p.References = nil
		return p, nil
	}
	encoded, ok := strings.CutPrefix(dep.Sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return spdxPackage{}, fmt.Errorf("checksum %q of module %s is not one of go.sum", dep.Sum, dep.Path)
	}
	// The sum is a SHA-256, though of a list of the module's files with theirs; readers of SBOMs expect it in hex.
	p.Checksums = []spdxChecksum{{Algorithm: "SHA256", Value: hex.EncodeToString(sum)}}
	p.SourceInfo = "go.sum " + dep.Sum
	return p, nil
}

func newSPDXPackage(id, name, version, module string) spdxPackage {
	return spdxPackage{
		ID: id, Name: name, Version: version, Purpose: "LIBRARY",
		DownloadLocation: noAssertion, LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
		References: []spdxExternalRef{{Category: "PACKAGE-MANAGER", Type: "purl", Locator: packageURL(module, version)}},
	}
}

// packageURL is the purl of a Go module, such as pkg:golang/sigs.k8s.io/yaml@v1.6.0: lower case and without a plus, as
// its specification asks.
func packageURL(module, version string) string {
	return "pkg:golang/" + strings.ToLower(module) + "@" + strings.ReplaceAll(version, "+", "%2B")
}
