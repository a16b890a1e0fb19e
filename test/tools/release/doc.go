// Release writes everything that a release consists of into one directory, of programs, an image and a chart that are built already.
// make release builds them and runs it.
//
//	release -version v1.2.3 -out bin/release -image bin/annex-image.tar -chart bin/annex-chart.tgz bin/linux-amd64/annex ...
//
//	archives.go      annex and kubectl-annex for each platform: tar.gz, and zip for windows; an SBOM beside each
//	chart.go         the chart as a Helm package, and as an OCI artifact in a tar
//	krew.go          annex.yaml, the manifest of kubectl's plugin manager
//	install.go       INSTALL.md, which says how to check and install all of it
//	provenance.go    provenance.json: an in-toto statement with SLSA provenance, of which commit by which Go
//	checksums.go     SHA256SUMS over all of these
//	signing.go       SHA256SUMS.sig, provenance.dsse.json and release.pub, if there is a key
//
// The same input gives the same bytes, signatures included: every time is that of the commit, or SOURCE_DATE_EPOCH. What a binary is (program,
// platform, commit, modules) is read from the binary itself. A missing platform, binaries of different commits, and binaries of a
// checkout with changes are refused: a release says of which commit it is.
//
// A release that was there before is replaced whole or not at all.
package main
