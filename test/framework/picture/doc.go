// Package picture draws what a terminal shows as SVG, for the documentation: the same text gives the same bytes.
package picture
