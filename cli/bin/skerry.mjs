#!/usr/bin/env node
// The `skerry` command: npx skerry --help
import '../dist/main.js';
