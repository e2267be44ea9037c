"""Cables, trees and single points: every region has the same positions, so that a node is one column."""
