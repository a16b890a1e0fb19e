// Image writes the container image of annex as an OCI image layout in a tar, for several platforms at once and without a
// container engine. It reads nothing but its arguments.
//
//	image -version v1.2.3 -license LICENSE -out bin/annex-image.tar bin/linux-amd64/annex bin/linux-arm64/annex
//
// make image builds the binaries and runs it. What a binary is (platform, commit, modules) is read from the binary itself;
// one that is not static, or two of different commits, are refused.
//
//	index.json            names one blob, the index of the image, with the version as its reference
//	blobs/sha256/<index>  a manifest for each platform
//	blobs/sha256/...      for each platform (platform.go): manifest, config (config.go), one layer (layer.go)
//
// A layer holds /annex, the user annex, a directory that it may write, the license, and an SBOM in SPDX 2.3 of
// the modules linked into that binary.
//
// The same binaries give the same bytes: every time in the archive is SOURCE_DATE_EPOCH, or else the time of the commit that
// the binaries were built from; order, owners and modes are fixed. A newer Go may compress differently.
//
// Package oci writes the layout, package artifact tar and SBOM. The formats: OCI image-spec 1.1 and SPDX 2.3.
package main
